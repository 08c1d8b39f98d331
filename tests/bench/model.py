"""How large a bundle is, how long it takes to open, and what one score costs.

    .venv/bin/python tests/bench/model.py [--models DIR]

The mails are those of the corpus, repeated up to the size named, as text that has been read; cost
is the median over the mails of the fastest of five runs. "cold" is the first time that a process
sees a mail: its words are not yet remembered.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from milter.mail.text import MailText, read_text
from milter.spam import features, tokens
from milter.spam.bundle import Bundle, open_models
from milter.spam.terms import lexicon
from milter.spam.tokens import tokenize
from milter.spam.verdict import judge
from training.data import read_corpus

ROOT = Path(__file__).resolve().parents[2]
SIZES = (500, 1000, 2000, 5000, 20000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", metavar="DIR", type=Path, default=ROOT / "models")
    models = parser.parse_args().models
    folder = models / (models / "current").read_text().strip()
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name != "manifest.json")
    print(
        f"bundle: {size / 1e6:.2f} MB, opens in {_best(lambda: open_models(models)) / 1e3:.0f} ms"
    )
    print(f"phrase lists: read in {_best(lexicon.__wrapped__) / 1e3:.0f} ms")
    texts = [read_text(e.content) for e in read_corpus(ROOT / "training" / "corpus")][::12]
    bundle = open_models(models)
    print("characters   from text to verdict   first time")
    for length in SIZES:
        mails = [_stretched(text, length) for text in texts if len(text.body) > 50]
        warm, cold = _cost(mails, bundle)
        print(f"{length:10}   {warm / 1000:17.3f} ms   {cold / 1000:7.3f} ms")


def _stretched(text: MailText, length: int) -> MailText:
    """A mail of ``length`` characters: its text again and again, which is not kind to us."""
    body = (text.body + "\n") * (length // len(text.body) + 1)
    return replace(text, body=body[:length])


def _cost(mails: list[MailText], bundle: Bundle) -> tuple[float, float]:
    """Microseconds a mail, when its words are known and when they are not."""

    def forgetful(mail: MailText) -> float:
        for known in (features._hashes, features._begins, tokens._chunks, lexicon()._known):
            known.clear()
        return _once(lambda: judge(tokenize(mail), bundle))

    cold = median(forgetful(mail) for mail in mails)
    for mail in mails:
        judge(tokenize(mail), bundle)
    warm = median(_best(lambda mail=mail: judge(tokenize(mail), bundle)) for mail in mails)
    return warm, cold


def _best(run: Callable[[], object]) -> float:
    return min(_once(run) for _ in range(5))


def _once(run: Callable[[], object]) -> float:
    """Microseconds that ``run`` takes."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e6


if __name__ == "__main__":
    main()

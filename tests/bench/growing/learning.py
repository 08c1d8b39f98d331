"""Curves of learning: a corpus is fitted, feedback is retrained."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.growing.setting import ROOT, Bench, Spent, watched
from bench.throughput.curves import Curve
from bench.throughput.messages import LABELS
from harness.feedback import put

_OF_AN_OWNER = 100  # mails; with half as many of a label, quotas turn none away
_BEGIN = 1.79e9  # when the first correction was filed, in seconds of Unix time
_BESIDE = 1000  # mails of the corpus that corrections are learned beside


class _Costs:
    """Three curves of a command: time, all memory, and that which cannot be given back."""

    def __init__(self, title: str, sizes: str) -> None:
        self.seconds = Curve(f"{title}, time", sizes, "s of processor time")
        self.memory = Curve(f"{title}, memory", sizes, "MB (PSS), highest")
        self.own = Curve(f"{title}, memory without files", sizes, "MB (anonymous), highest")

    def add(self, mails: int, spent: Spent) -> None:
        """A point of each."""
        self.seconds.points.append((mails, spent.seconds))
        self.memory.points.append((mails, spent.memory))
        self.own.points.append((mails, spent.own))

    def __iter__(self) -> Iterator[Curve]:
        yield from (self.seconds, self.memory, self.own)


def corpus(bench: Bench) -> Iterator[Curve]:
    """Fitting a corpus of made-up mails."""
    costs = _Costs("corpus: fitting", "mails")
    for mails in bench.powers():
        folder, models = make_corpus(bench, mails), bench.folder()
        costs.add(mails, watched(_training("fit", corpus=folder, models=models)))
        shutil.rmtree(folder)
    yield from costs


def feedback(bench: Bench) -> Iterator[Curve]:
    """One retrain with corrections of many owners, beside a corpus of 1,000 made-up mails."""
    costs = _Costs("feedback: retraining", "corrections")
    folder = make_corpus(bench, _BESIDE)
    for mails in bench.powers():
        models, filed = bench.folder(), make_feedback(bench, mails)
        shutil.copytree(ROOT / "models", models, dirs_exist_ok=True)
        command = _training("retrain", feedback=filed, corpus=folder, models=models)
        costs.add(mails, watched(command))
        shutil.rmtree(filed)
    yield from costs


def _training(what: str, **options: Path) -> list[str]:
    told = [word for name, path in options.items() for word in (f"--{name}", str(path))]
    return [sys.executable, "-m", "training", what, *told, "--jobs", "1"]


def make_corpus(bench: Bench, mails: int) -> Path:
    """Made-up mails, laid out as the corpus is: by label, language and theme, ten to a theme."""
    folder = bench.folder()
    for i in range(mails):
        label = LABELS[i % len(LABELS)]
        path = folder / label / "en" / f"theme{i // 30}" / f"made-{i}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bench.writer.of_text(800, label))
    return folder


def make_feedback(bench: Bench, mails: int) -> Path:
    """Made-up mails that a hundredth as many owners have filed, in turns as fake and none."""
    folder = bench.folder()
    owners = max(1, mails // _OF_AN_OWNER)
    for i in range(mails):
        label = ("fake", "none")[i % 2]
        place = folder / f"owner{i // 2 % owners}" / label / f"{i}.eml"
        put(place, bench.writer.of_text(800, label), _BEGIN + 60 * i)
    return folder

"""What each choice of features and learner is worth: the corpus judged by folds, choice by choice.

    .venv/bin/python tests/bench/ablation.py [--only WORDS] [--seeds N]

Two ways of keeping siblings apart: by theme, and by writer (the first part of a mail's file name).
German and English count; of each the recall of fake at 0.1 % and 1 % false positives (hard cases
by their share of real mail, ``training/mix.toml``), (1-ROC area)%, and the recall of genuine.
The figures of ``training/NOTES.md`` are made here. A difference below about 3 points of recall, or
0.3 of the area, is noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from milter.spam import features, tokens
from training.data import Example, hard_cases, hard_share, read_corpus
from training.fit import read_examples
from training.learner import ThemedRegression
from training.spool import Rows
from training.vectorize import Views

CORPUS = Path(__file__).resolve().parents[2] / "training" / "corpus"


@dataclass(frozen=True)
class Choice:
    """One way of doing it: constants of ``features`` or ``tokens``, and the learner's settings."""

    name: str
    features: dict[str, Any]
    tokens: dict[str, Any]
    strength: float = 2.0
    themes: int = 2

    @contextmanager
    def made(self) -> Iterator[None]:
        """With this choice in force; what was remembered by another one is forgotten."""
        with (
            mock.patch.multiple(features, **(self.features or {"BITS": features.BITS})),
            mock.patch.multiple(tokens, **(self.tokens or {"MAX_WORDS": tokens.MAX_WORDS})),
        ):
            for known in (features._hashes, tokens._chunks):
                known.clear()
            yield


def _choice(name: str, **changed: Any) -> Choice:
    learner = {key: changed.pop(key) for key in ("strength", "themes") if key in changed}
    of_tokens = {key: changed.pop(key) for key in ("MAX_WORDS",) if key in changed}
    return Choice(name, changed, of_tokens, **learner)


CHOICES = [
    _choice("as it is"),
    _choice("no runs of words", _RUN_WEIGHT=1e-9),
    _choice("runs of two words at most", _LONGEST=2),
    _choice("runs of four words, too", _LONGEST=4),
    _choice("no asks, offers, notes", _MARK_WEIGHT=1e-9),
    _choice("asks, offers, notes at 3", _MARK_WEIGHT=3.0),
    _choice("no signs", _SIGN_WEIGHT=1e-9),
    _choice("signs at 1", _SIGN_WEIGHT=1.0),
    _choice("signs at 3", _SIGN_WEIGHT=3.0),
    _choice("no beginnings of words", _BEGIN=99),
    _choice("beginnings of 4 letters", _BEGIN=4),
    _choice("beginnings of 8 letters", _BEGIN=8),
    _choice("figures count", _KINDS={}),
    _choice("links are mute, too", _KINDS=features._KINDS | {"_url_": 7, "_address_": 8}),
    _choice("short mails at full length", _LENGTH=1.0),
    _choice("short mails at length 14", _LENGTH=14.0),
    _choice("first 100 words", MAX_WORDS=100),
    _choice("first 500 words", MAX_WORDS=500),
    _choice("words of one theme count", themes=1),
    _choice("words of three themes count", themes=3),
    _choice("penalty 4 times as strong", strength=0.5),
    _choice("penalty 4 times as weak", strength=8.0),
]


def main() -> None:
    """Judge the corpus by each choice and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="WORDS", default="", help="choices whose name has this")
    parser.add_argument("--seeds", metavar="N", type=int, default=2, help="divisions into folds")
    options = parser.parse_args()
    examples = [e for e in read_corpus(CORPUS) if e.language in ("de", "en")]
    table = Table("choice", title=f"{len(examples)} mails, German and English")
    for apart in ("themes", "writers"):
        for figure in ("at 0.1 %", "at 1 %", "1-AUC %", "genuine"):
            table.add_column(f"{apart} apart: {figure}", justify="right")
    with threadpool_limits(1):
        for choice in CHOICES:
            if options.only in choice.name:
                table.add_row(choice.name, *_row(choice, examples, options.seeds))
    Console(width=160).print(table)


def _row(choice: Choice, examples: list[Example], seeds: int) -> list[str]:
    with choice.made():
        views = read_examples(examples)
    themes = np.array([example.group for example in examples])
    writers = np.array([example.writer for example in examples])
    cells: list[str] = []
    for apart in (themes, writers):
        runs = [
            _figures(_unseen(choice, views, examples, apart, themes, seed), examples)
            for seed in range(seeds)
        ]
        at_budget, at_one, area, genuine = np.mean(runs, axis=0)
        cells += [f"{at_budget:.0%}", f"{at_one:.0%}", f"{area:.2f}", f"{genuine:.0%}"]
    return cells


def _unseen(
    choice: Choice,
    views: Views,
    examples: list[Example],
    apart: np.ndarray,
    themes: np.ndarray,
    seed: int,
) -> np.ndarray:
    """The logits (n, 3) of each mail by a model that saw none of its group."""
    labels = np.array([example.label for example in examples])
    whole = views.whole
    logits = np.empty((len(examples), 3))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for seen, test in folds.split(labels, labels, apart):
        learner = ThemedRegression(choice.strength, choice.themes)
        learner.fit(Rows([(whole, seen)]), labels[seen], themes[seen])
        tested = views.of(test)
        logits[test] = tested.worst(learner.decision_function(tested.matrix))
    return logits


def _figures(logits: np.ndarray, examples: list[Example]) -> tuple[float, float, float, float]:
    labels = np.array([example.label for example in examples])
    fake = labels == "fake"
    score = logits[:, 0] - np.logaddexp(logits[:, 1], logits[:, 2])
    hard = hard_cases(examples)[~fake]
    weight = np.where(hard, hard_share() / hard.sum(), (1 - hard_share()) / (~hard).sum())
    recall = _recall_at(score[fake], score[~fake], weight)
    genuine = (logits[labels == "genuine"].argmax(axis=1) == 1).mean()
    return recall(0.001), recall(0.01), 100 * (1 - roc_auc_score(fake, score)), float(genuine)


def _recall_at(
    fake: np.ndarray, wanted: np.ndarray, weight: np.ndarray
) -> Callable[[float], float]:
    order = np.argsort(-wanted, kind="stable")
    spent = np.cumsum(weight[order])

    def recall(budget: float) -> float:
        threshold = wanted[order][np.searchsorted(spent, budget, side="right")]
        return float((fake > threshold).mean())

    return recall


if __name__ == "__main__":
    main()

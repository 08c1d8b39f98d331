"""How well numbers tell pitches from wanted mail, whatever scale they are on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from bench.filters.peer import Mail
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

#: Shares of wanted mail that may be called fake.
BUDGETS = (0.001, 0.01)
#: Whose figures stand apart; the few other languages count in "all" only.
LANGUAGES = ("all", "de", "en")


def threshold(wanted: NDArray[np.float64], budget: float) -> float:
    """The score that at most floor(``budget`` * n) of n wanted mails exceed.

    It is the score of a wanted mail, and a pitch must exceed it: one with the very same score is
    missed. So a filter that gives many mails its highest number pays for that.
    """
    allowed = int(budget * len(wanted) + 1e-9)  # 0.001 * 3000 is a little below 3
    return float(np.sort(wanted)[::-1][allowed])


def by_language(scores: NDArray[np.float64], mails: Sequence[Mail]) -> dict[str, dict[str, Any]]:
    """The figures of all mails, and of each language by itself, with a threshold of its own."""
    fake = np.array([mail.fake for mail in mails])
    spoken = np.array([mail.language for mail in mails])
    return {
        language: _figures(scores[chosen & fake], scores[chosen & ~fake])
        for language in LANGUAGES
        for chosen in [np.full(len(mails), True) if language == "all" else spoken == language]
        if (chosen & fake).any() and (chosen & ~fake).any()
    }


def _figures(fake: NDArray[np.float64], wanted: NDArray[np.float64]) -> dict[str, Any]:
    truth = np.repeat([True, False], [len(fake), len(wanted)])
    area = roc_auc_score(truth, np.concatenate([fake, wanted]))
    recalls = {
        f"recall_at_{budget:.1%}": float((fake > threshold(wanted, budget)).mean())
        for budget in BUDGETS
    }
    return {
        "fake": len(fake),
        "wanted": len(wanted),
        **recalls,
        "one_minus_auc_percent": 100 * (1 - float(area)),
    }


def wanted_above(
    scores: NDArray[np.float64], mails: Sequence[Mail], budget: float
) -> dict[str, tuple[int, int]]:
    """Of each set of wanted mail, how many exceed the threshold of all, and how many there are.

    Some sets hold hard cases on purpose, and their share is not that of anybody's mail.
    """
    wanted = [
        (mail.group, score) for mail, score in zip(mails, scores, strict=True) if not mail.fake
    ]
    limit = threshold(np.array([score for _, score in wanted]), budget)
    sizes = Counter(group for group, _ in wanted)
    above = Counter(group for group, score in wanted if score > limit)
    return {group: (above[group], size) for group, size in sizes.items()}

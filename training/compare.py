"""Two models on the same mails: won, tied and lost; and which mails the newest are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from milter.spam.bundle import Thresholds
from milter.spam.verdict import Score, Verdict, decide
from training.learner import softmax
from training.vectorize import Views

# How good a verdict is for a mail: 2 its own, 1 one that costs little, 0 one that must not be. A
# wanted mail must not be called fake; a fake that is called unsure is at least noticed.
_OF_FAKE = {Verdict.FAKE: 2, Verdict.UNSURE: 1}
# The newest part of the corrections: its share, and the least number that tells anything.
_NEWEST_SHARE, _NEWEST_LEAST = 0.2, 5


class Model(Protocol):
    """What a verdict hangs on: a bundle has it, and a fitted model as well."""

    @property
    def weights(self) -> NDArray[np.int16]:
        """Coefficients, (SIZE, 3)."""

    @property
    def scale(self) -> float:
        """What they are to be multiplied by."""

    @property
    def intercept(self) -> NDArray[np.float64]:
        """Log-odds of a mail without any feature, (3,)."""

    @property
    def temperature(self) -> float:
        """What log-odds are to be divided by."""

    @property
    def thresholds(self) -> Thresholds:
        """Of the verdicts."""


@dataclass(frozen=True, slots=True)
class Judgements:
    """Of n mails: ``probabilities`` (n, 3) and ``verdicts`` (n,)."""

    probabilities: NDArray[np.float64]
    verdicts: NDArray[np.str_]

    def of(self, mails: NDArray[np.int64]) -> Judgements:
        """Those of some of the mails."""
        return Judgements(self.probabilities[mails], self.verdicts[mails])


@dataclass(frozen=True, slots=True)
class Tally:
    """On how many mails the second model is better than the first, as good, and worse."""

    won: int
    tied: int
    lost: int

    @property
    def mails(self) -> int:
        """All of them."""
        return self.won + self.tied + self.lost


def judge_views(views: Views, model: Model) -> Judgements:
    """Judge mails that have been read already, as the filter does."""
    coefficients = model.weights.astype(np.float64) * model.scale
    logits = views.worst(views.matrix @ coefficients + model.intercept)
    return judged(softmax(logits / model.temperature), model.thresholds)


def judged(probabilities: NDArray[np.float64], thresholds: Thresholds) -> Judgements:
    """The verdicts for ``probabilities`` (n, 3)."""
    verdicts = [str(decide(Score(*row), thresholds)) for row in probabilities.tolist()]
    return Judgements(probabilities, np.array(verdicts, dtype=np.str_))


def grades(labels: NDArray[np.str_], verdicts: NDArray[np.str_]) -> NDArray[np.int64]:
    """How good each verdict is for a mail of its label, (n,): 0 to 2."""
    pairs = zip(labels.tolist(), verdicts.tolist(), strict=True)
    return np.array([_grade(label, verdict) for label, verdict in pairs], dtype=np.int64)


def _grade(label: str, verdict: str) -> int:
    if label == "fake":
        return _OF_FAKE.get(Verdict(verdict), 0)
    return 0 if verdict == Verdict.FAKE else 2 if verdict == label else 1


def tally(labels: NDArray[np.str_], before: NDArray[np.str_], after: NDArray[np.str_]) -> Tally:
    """Compare the verdicts (n,) of two models on mails with ``labels`` (n,)."""
    gain = grades(labels, after) - grades(labels, before)
    return Tally(int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum()))


def newest(moved: Sequence[float]) -> NDArray[np.int64]:
    """The numbers of the newest fifth of n corrections, in rising order; none of too few.

    ``moved`` (n,) are the times at which they were filed. Corrections arrive late and in order, so
    what a model is worth shows on those that came after all it has learned.
    """
    number = max(_NEWEST_LEAST, int(len(moved) * _NEWEST_SHARE))
    if len(moved) < 2 * _NEWEST_LEAST:
        return np.zeros(0, dtype=np.int64)
    order = np.argsort(np.array(moved), kind="stable")
    return np.sort(order[-number:])

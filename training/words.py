"""Which words of the corrections speak more for ``fake`` than before, and which speak less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milter.mail.text import read_text
from milter.spam.bundle import LABELS
from milter.spam.features import features
from milter.spam.tokens import tokenize
from training.compare import Model
from training.data import Example
from training.vectorize import Views

_FAKE = LABELS.index("fake")
_OTHERS = [LABELS.index(label) for label in LABELS if label != "fake"]


@dataclass(frozen=True, slots=True)
class Shift:
    """A word, run of words or sign; in how many corrections; its weight in two models.

    Weights are log-odds of ``fake`` against the mean of the other labels, calibrated.
    """

    name: str
    mails: int
    before: float
    after: float


def shifts(
    examples: Sequence[Example], views: Views, before: Model, after: Model, number: int
) -> tuple[list[Shift], list[Shift]]:
    """The ``number`` features of ``examples`` (read to ``views``) that gained most, and lost most.

    Weights of hashes say nothing to people; what they stand for is read from the mails again.
    """
    matrix = views.whole
    ids, mails = np.unique(matrix.indices, return_counts=True)
    old, new = (_margins(model, ids) for model in (before, after))
    order = np.argsort(old - new, kind="stable")
    gained = [i for i in order[:number].tolist() if new[i] > old[i]]
    lost = [i for i in order[::-1][:number].tolist() if new[i] < old[i]]
    names = _names(examples, views, ids[gained + lost])

    def told(chosen: list[int]) -> list[Shift]:
        return [
            Shift(names[int(ids[i])], int(mails[i]), float(old[i]), float(new[i])) for i in chosen
        ]

    return told(gained), told(lost)


def _margins(model: Model, ids: NDArray[np.int32]) -> NDArray[np.float64]:
    """The weight of each feature, (m,)."""
    weights = model.weights[ids].astype(np.float64) * (model.scale / model.temperature)
    result: NDArray[np.float64] = weights[:, _FAKE] - weights[:, _OTHERS].mean(axis=1)
    return result


def _names(examples: Sequence[Example], views: Views, wanted: NDArray[np.int32]) -> dict[int, str]:
    """What features stand for, by the first mail that has each."""
    matrix = views.whole
    at = np.flatnonzero(np.isin(matrix.indices, wanted))
    rows = np.searchsorted(matrix.indptr, at, side="right") - 1
    _, first = np.unique(matrix.indices[at], return_index=True)
    names: dict[int, str] = {}
    for row in sorted(set(rows[first].tolist())):
        mail = features(tokenize(read_text(examples[row].content)))
        for place in np.flatnonzero(np.isin(mail.ids, wanted)).tolist():
            names.setdefault(int(mail.ids[place]), mail.name(place))
    return names

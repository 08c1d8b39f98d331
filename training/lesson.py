"""What a fit learns from: which rows, with which weight, and what is left for which fold.

A mail of the corpus is learned as it is, and its theme decides what it counts. A correction of the
owner's is shown by what it has beyond other pitches, and counts like many mails; a pitch that the
corpus knows already counts half of that, and any other mail that it knows like a written one.
``NOTES.md`` says what else was tried.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, vstack
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from milter.spam.bundle import LABELS
from training.data import CorpusError, Example, from_feedback
from training.learner import ThemedRegression
from training.spool import Growing, Rows
from training.vectorize import Views

if TYPE_CHECKING:
    from training.fit import FitSettings

# Corrections of one cluster that count in full; of more, each counts less.
_FEW = 5
# The probability (not calibrated) that the corpus alone gives to the owner's label where it knows
# the mail already: nothing is to be corrected then.
_SURE = 0.9
# What a pitch that the corpus knows counts, as a share of a correction: it has the words of its
# campaign, too, by which those of its siblings are found that are not known.
_KNOWN_PITCH = 0.5
# The most of them that count so. Whoever files more does not correct, but files whatever comes; and
# thousands would weigh more than the corpus.
_MOST_KNOWN = 50
# The share of pitches that have a feature which is counted as what all pitches have.
_COMMON = 0.05


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Lesson:
    """What all folds share. ``first`` (n,) are the rows of the whole mails in ``views``.

    ``themes`` (n,): a word counts that several of these have. The corpus' are its groups; of
    feedback each mail is one by itself, as what its siblings share is just what is to be learned.
    ``shown``: the feedback's rows as they are learned, in their order. ``tests``: the mails that
    each model does not see: those of each fold, those left out.
    """

    views: Views
    first: NDArray[np.int64]
    labels: NDArray[np.str_]
    themes: NDArray[np.int64]
    weights: NDArray[np.float64]
    feedback: NDArray[np.bool_]
    shown: csr_matrix
    tests: list[NDArray[np.int64]]
    settings: FitSettings


def lesson_of(
    views: Views,
    examples: list[Example],
    settings: FitSettings,
    left_out: NDArray[np.int64] | None,
) -> Lesson:
    """What there is to learn from ``examples`` that have been read to ``views`` (``fit_views``)."""
    labels = np.array([example.label for example in examples])
    names, groups = _numbered(example.group for example in examples)
    feedback = from_feedback(examples)
    tests = _tests(labels, names, groups, feedback, settings)
    alone = Lesson(
        views=views,
        first=views.first,
        labels=labels,
        themes=np.where(feedback, len(names) + np.arange(len(examples)), groups),
        weights=_weights(groups, feedback, np.zeros_like(feedback), settings),
        feedback=feedback,
        shown=csr_matrix((0, views.matrix.shape[1])),
        tests=tests if left_out is None else [*tests, left_out],
        settings=settings,
    )
    if not feedback.any():
        return alone
    known = feedback.copy()
    known[feedback] = _known(alone)
    pitches = known & (labels == "fake")
    if pitches.sum() > _MOST_KNOWN:
        pitches[:] = False
    plain = known & ~pitches
    weights = _weights(groups, feedback, plain, settings)
    weights[pitches] *= _KNOWN_PITCH
    return replace(alone, weights=weights, shown=_shown(alone, plain[feedback]))


def _numbered(names: Iterable[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different names in their order, and of each its number: a name takes memory once."""
    every = list(names)
    found = sorted(set(every))
    number = {name: at for at, name in enumerate(found)}
    return found, np.array([number[name] for name in every], np.int64)


def _known(lesson: Lesson) -> NDArray[np.bool_]:
    """Which mails of the feedback a model of the corpus alone is sure of, label and all."""
    with threadpool_limits(1):
        learner = fitted(lesson, np.flatnonzero(~lesson.feedback))
    rows = _whole(lesson, np.flatnonzero(lesson.feedback))
    own = lesson.labels[lesson.feedback][:, np.newaxis] == learner.classes_
    found = np.concatenate([learner.predict_proba(chunk) for chunk in rows.chunks()])
    sure: NDArray[np.bool_] = found[own] >= _SURE
    return sure


def _whole(lesson: Lesson, mails: NDArray[np.int64]) -> Rows:
    """The whole mails with these numbers as they are."""
    return Rows([(lesson.views.matrix, lesson.first[mails])])


def _shown(lesson: Lesson, known: NDArray[np.bool_]) -> csr_matrix:
    """The rows of the feedback, (m, SIZE): what is ``known`` (m,) as it is.

    Of a correction there is what it has beyond the mean pitch, and of that the share that must be
    enough. What all pitches have the corpus has weighed already, with mails of the other labels
    that have it, too; a few dozen corrections of one campaign would only say that it is a fake's.
    """
    pitches = np.flatnonzero(~lesson.feedback & (lesson.labels == "fake"))
    mean, share = _mean(_whole(lesson, pitches)), lesson.settings.feedback_share
    found, at = Growing(lesson.views.matrix.shape[1]), 0
    for rows in _whole(lesson, np.flatnonzero(lesson.feedback)).chunks():
        alike = known[at : at + rows.shape[0]]
        beyond = rows - vstack([mean] * len(alike), format="csr")
        shown = diags(alike.astype(float)) @ rows + diags(share * ~alike) @ beyond
        shown.eliminate_zeros()
        found.add(shown)
        at += len(alike)
    return found.matrix()


def _mean(rows: Rows) -> csr_matrix:
    """The mean row, (1, SIZE), of the features that many rows have; others are next to nothing."""
    mails, size = rows.shape
    counts, sums = np.zeros(size, np.int64), np.zeros(size)
    for chunk in rows.chunks():
        counts += np.bincount(chunk.indices, minlength=size)
        np.add.at(sums, chunk.indices, chunk.data)  # one by one: sums of sums would be others
    common = np.flatnonzero(counts > _COMMON * mails)
    means = sums[common] / mails
    return csr_matrix((means, common, [0, len(common)]), shape=(1, size))


def _weights(
    groups: NDArray[np.int64],
    feedback: NDArray[np.bool_],
    known: NDArray[np.bool_],
    settings: FitSettings,
) -> NDArray[np.float64]:
    """How much each mail counts, (n,): a theme by the root of its number of mails.

    Feedback that is ``known`` already counts like a mail of the corpus, a correction like
    ``feedback_weight`` of them; where many are alike, they count by the root of their number, too,
    so that nobody rules a model by filing one text often.
    """
    _, theme, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(sizes[theme])
    if feedback.any():
        crowded = np.maximum(sizes[theme[feedback]] / _FEW, 1.0)
        usual = weights[~feedback].mean() * np.where(known[feedback], 1, settings.feedback_weight)
        weights[feedback] = usual / np.sqrt(crowded)
    result: NDArray[np.float64] = weights
    return result


def _tests(
    labels: NDArray[np.str_],
    names: list[str],
    groups: NDArray[np.int64],
    feedback: NDArray[np.bool_],
    settings: FitSettings,
) -> list[NDArray[np.int64]]:
    """The mails of each fold, whole themes each; ``groups`` are numbers of the ``names``.

    Those of the corpus are the same whatever has been filed, so that two models can be compared;
    which fold a cluster of corrections is in hangs on its name alone.
    """
    written, filed = np.flatnonzero(~feedback), np.flatnonzero(feedback)
    labels, themes = labels[written], groups[written]
    for label in LABELS:
        number = len(np.unique(themes[labels == label]))
        if number < settings.folds:
            raise CorpusError(f"label {label} has {number} themes; {settings.folds} are needed")
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    fold = np.array([_fold_of(names[at], settings.folds) for at in groups[filed].tolist()], int)
    return [
        np.sort(np.concatenate([written[test], filed[fold == number]]))
        for number, (_, test) in enumerate(splitter.split(labels, labels, themes))
    ]


def _fold_of(group: str, folds: int) -> int:
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:4]) % folds


def fitted(lesson: Lesson, seen: NDArray[np.int64]) -> ThemedRegression:
    """A learner that saw the mails with these numbers."""
    filed = lesson.feedback[seen]
    order = np.concatenate([seen[~filed], seen[filed]])
    return new_learner(lesson.settings).fit(
        _rows(lesson, seen[~filed], seen[filed]),
        lesson.labels[order],
        lesson.themes[order],
        lesson.weights[order],
        ~lesson.feedback[order],
    )


def _rows(lesson: Lesson, written: NDArray[np.int64], feedback: NDArray[np.int64]) -> Rows:
    """The whole mails as they are learned, (n, SIZE)."""
    place = np.cumsum(lesson.feedback) - 1  # of each mail among the feedback
    return Rows([*_whole(lesson, written).parts, (lesson.shown, place[feedback])])


def new_learner(settings: FitSettings) -> ThemedRegression:
    """A learner that has seen nothing yet."""
    return ThemedRegression(settings.strength, settings.themes, settings.seed)

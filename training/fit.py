"""Learning: examples in, a fitted model with its honest figures out. Deterministic.

What is learned and how much each mail counts is decided in ``lesson``; here models are fitted of
it, calibrated, and given their thresholds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from threadpoolctl import threadpool_limits

from milter.spam.bundle import LABELS, Thresholds
from training.data import Example, from_feedback, hard_cases, hard_share, wanted
from training.jobs import Jobs, run
from training.learner import ThemedRegression, softmax
from training.lesson import Lesson, fitted, lesson_of, new_learner
from training.senders import with_senders
from training.vectorize import Views, read_views

# Mails of which one model takes half a gigabyte while it is fitted.
_MANY = 10_000


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What decides a fit besides its data; all of it is saved in the manifest."""

    seed: int = 20261123
    # Folds of whole themes: a figure must never come from a sibling of what was learned.
    folds: int = 5
    # Inverse strength of the L2 penalty.
    strength: float = 2.0
    # In how many themes a word must occur to count.
    themes: int = 2
    # Which share of wanted mail may be called fake.
    budget: float = 0.001
    # The same for unsure or fake.
    unsure_budget: float = 0.01
    # Which share of mail that proposes nothing may be called genuine. Looking at such a mail costs
    # its reader a moment, missing a real proposal costs more.
    genuine_budget: float = 0.02
    # Words (subject and body) below which there is too little to go on.
    too_little: int = 4
    # Like how many mails of the corpus one counts that the owner had to correct.
    feedback_weight: float = 12.0
    # The share of its features by which a corrected mail must be known already. Siblings of a
    # campaign that are worded anew have some twentieth in common; a model that may go by all
    # features learns what one mail alone has, and knows none of its siblings (``NOTES.md``).
    feedback_share: float = 0.07


@dataclass(frozen=True, slots=True)
class Fold:
    """A model that saw none of the themes of the examples with the numbers ``test`` (m,).

    ``weights``, ``scale`` and ``intercept`` are as in ``Fitted``.
    """

    test: NDArray[np.int64]
    weights: NDArray[np.int16]
    scale: float
    intercept: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model.

    ``learner`` is scikit-learn's estimator; ``weights`` (SIZE, 3) int16 times ``scale`` and
    ``intercept`` (3,) are its coefficients, ``temperature`` its calibration. ``out_of_fold``
    (n, 3): the probabilities of each example by a model that saw none of its theme, the one of
    ``folds`` that has it in its test. ``rehearsal``: a model that saw all but some (``fit_views``).
    """

    learner: ThemedRegression
    weights: NDArray[np.int16]
    scale: float
    intercept: NDArray[np.float64]
    temperature: float
    thresholds: Thresholds
    out_of_fold: NDArray[np.float64]
    folds: tuple[Fold, ...] = ()
    rehearsal: Fold | None = None

    def rehearsed(self) -> Fitted:
        """The model that saw all but some, with calibration and thresholds of the whole one."""
        assert self.rehearsal, "fit_views was told what to leave out"
        part = self.rehearsal
        return replace(self, weights=part.weights, scale=part.scale, intercept=part.intercept)

    def probabilities(self, contents: list[bytes]) -> NDArray[np.float64]:
        """Of ``n`` mails, (n, 3) in the order of ``LABELS``, by scikit-learn alone."""
        views = read_views(contents)
        logits = views.worst(self.learner.decision_function(views.matrix))
        return softmax(logits / self.temperature)


def fit(
    examples: list[Example],
    settings: FitSettings,
    jobs: Jobs = 1,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Learn from ``examples`` in ``jobs`` processes; ``progress`` hears of mails read."""
    return fit_views(read_examples(examples, jobs, progress), examples, settings, jobs)


def read_examples(
    examples: list[Example], jobs: Jobs = 1, progress: Callable[[int], None] | None = None
) -> Views:
    """``examples`` read to what is learned from, words; ``progress`` hears of mails read."""
    return read_views((example.content for example in examples), jobs, progress, senders=False)


def fit_views(
    views: Views,
    examples: list[Example],
    settings: FitSettings,
    jobs: Jobs = 1,
    left_out: NDArray[np.int64] | None = None,
    senders: frozenset[str] = frozenset(),
) -> Fitted:
    """Learn from ``examples`` that have been read to ``views``.

    ``left_out`` are the numbers of some that yet another model shall not see, ``Fitted.rehearsal``;
    ``senders`` are believed less by the whole model, and no other is told of them.

    Folds, calibration and thresholds are the written corpus' own, whatever the owner has filed:
    corrections are the mails that a model was wrong about, no sample of the mail that comes in.
    Those of one cluster stand in one fold, as the mails of one theme do.
    """
    lesson = lesson_of(views, examples, settings, left_out)
    models = [_ALL, *range(len(lesson.tests))]
    whole, *folds = run(_side_by_side(jobs, len(examples)), _learn, lesson, models, threads=True)
    rehearsal = folds.pop().fold if left_out is not None else None
    logits = np.empty((len(examples), len(LABELS)))
    for part in folds:
        logits[part.fold.test] = part.unseen
    written = np.flatnonzero(~from_feedback(examples))
    base = [examples[i] for i in written.tolist()]
    learner = _estimator(whole.fold, settings).calibrate(logits[written], lesson.labels[written])
    out_of_fold = softmax(logits / learner.temperature_)
    found = thresholds(
        out_of_fold[written], lesson.labels[written], wanted(base), hard_cases(base), settings
    )
    step = whole.fold.scale / learner.temperature_
    weights = with_senders(whole.fold.weights, senders, found, step)
    learner.coef_ = np.asarray(weights.T * whole.fold.scale, np.float64)
    return Fitted(
        learner=learner,
        weights=weights,
        scale=whole.fold.scale,
        intercept=learner.intercept_,
        temperature=learner.temperature_,
        thresholds=found,
        out_of_fold=out_of_fold,
        folds=tuple(part.fold for part in folds),
        rehearsal=rehearsal,
    )


def _side_by_side(jobs: Jobs, mails: int) -> Jobs:
    """How many models are fitted at a time: of many mails one, so as not to need two gigabytes."""
    return 1 if isinstance(jobs, int) and mails > _MANY else jobs


# The number that stands for all mails instead of all but a fold's.
_ALL = -1


@dataclass(frozen=True, slots=True)
class _Learned:
    """A fold's model and the logits (m, 3) of its test."""

    fold: Fold
    unseen: NDArray[np.float64]


def _learn(lesson: Lesson, number: int) -> _Learned:
    """A model that saw all mails but those of a fold, and its logits of these.

    Linear algebra runs in one thread (BLAS: ``run`` sees to it): with several, sums come in another
    order each time, and the same corpus would not give the same octets.
    """
    test = np.zeros(0, np.int64) if number == _ALL else lesson.tests[number]
    seen = np.setdiff1d(np.arange(len(lesson.labels)), test, assume_unique=True)
    with threadpool_limits(1, "openmp"):
        learner = fitted(lesson, seen)
        tested = lesson.views.of(test)
        unseen = tested.worst(learner.decision_function(tested.matrix))
    return _Learned(Fold(test, *_quantised(learner), learner.intercept_), unseen)


def _estimator(fold: Fold, settings: FitSettings) -> ThemedRegression:
    """scikit-learn's estimator with the coefficients of ``fold``."""
    learner = new_learner(settings)
    learner.classes_ = np.array(LABELS)
    learner.coef_ = np.asarray(fold.weights.T * fold.scale, np.float64)
    learner.intercept_ = fold.intercept
    return learner


def _quantised(estimator: ThemedRegression) -> tuple[NDArray[np.int16], float]:
    """The coefficients as 16-bit steps, (SIZE, 3), and the size of a step.

    The step is far below what a verdict could notice, and makes a bundle small.
    """
    step = float(np.abs(estimator.coef_).max()) / 32767
    weights = np.rint(estimator.coef_ / step).astype(np.int16)
    return np.ascontiguousarray(weights.T), step


def thresholds(
    out_of_fold: NDArray[np.float64],
    labels: NDArray[np.str_],
    wanted: NDArray[np.bool_],
    hard: NDArray[np.bool_],
    settings: FitSettings,
) -> Thresholds:
    """The least thresholds that keep within the budgets.

    Judged by ``out_of_fold`` (n, 3), each mail by a model that saw none of its theme. ``wanted``
    (n,) marks those that may not be called fake, ``hard`` (n,) the hard cases among them.
    """
    fake, genuine = (out_of_fold[:, LABELS.index(label)] for label in ("fake", "genuine"))
    nothing = labels == "none"
    certain = _least(fake[wanted], hard[wanted], settings.budget)
    unsure = min(_least(fake[wanted], hard[wanted], settings.unsure_budget), certain)
    found = _least(genuine[nothing], hard[nothing], settings.genuine_budget)
    return Thresholds(fake=certain, unsure=unsure, genuine=min(found, 0.5))


def _least(scores: NDArray[np.float64], hard: NDArray[np.bool_], budget: float) -> float:
    """The least threshold (four decimals) that no more mails reach than ``budget`` allows.

    ``scores`` (n,) of mails that should not reach it; everyday mails and hard cases count by their
    shares of real mail. Counted is the median bound of Clopper and Pearson (1934): the true rate
    lies below it, or above it, with equal chance. Where there are too few mails to show that the
    budget is kept at all, the threshold is above all of them.
    """
    candidates = np.unique(np.append(np.floor(scores * 10_000) / 10_000, 0.0)) + 0.0001
    kept = np.flatnonzero(expected_rate(scores, hard, candidates) <= budget)
    return float(round(min(candidates[kept[0] if len(kept) else -1], 1.0), 4))


def expected_rate(
    scores: NDArray[np.float64], hard: NDArray[np.bool_], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The share of real mail of this kind that reaches each threshold, as ``_least`` counts it."""
    weights = _shares(hard)
    order = np.argsort(scores)
    above = np.append(np.cumsum(weights[order][::-1])[::-1], 0.0)
    reached = above[np.searchsorted(scores[order], thresholds, side="left")]
    mails = 1 / np.dot(weights, weights)  # as many of equal weight would tell as much (Kish 1965)
    bound: NDArray[np.float64] = beta.ppf(
        0.5, reached * mails + 1, np.maximum((1 - reached) * mails, 1e-9)
    )
    return bound


def _shares(hard: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weight of each mail, (n,), of 1 together: hard cases have their share of real mail."""
    share = hard_share() if hard.any() and not hard.all() else float(hard.any())
    weights: NDArray[np.float64] = np.where(
        hard, share / max(hard.sum(), 1), (1 - share) / max((~hard).sum(), 1)
    )
    return weights

"""Learning: examples in, a fitted model with its honest figures out. Deterministic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from milter.spam.bundle import LABELS, Thresholds
from training.data import CorpusError, Example, hard_cases, hard_share
from training.learner import ThemedRegression, softmax
from training.vectorize import Views, read_views


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
    ``folds`` that has it in its test.
    """

    learner: ThemedRegression
    weights: NDArray[np.int16]
    scale: float
    intercept: NDArray[np.float64]
    temperature: float
    thresholds: Thresholds
    out_of_fold: NDArray[np.float64]
    folds: tuple[Fold, ...] = ()

    def probabilities(self, contents: list[bytes]) -> NDArray[np.float64]:
        """Of ``n`` mails, (n, 3) in the order of ``LABELS``, by scikit-learn alone."""
        views = read_views(contents)
        logits = views.worst(self.learner.decision_function(views.matrix))
        return softmax(logits / self.temperature)


def fit(
    examples: list[Example],
    settings: FitSettings,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Learn from ``examples`` in ``jobs`` processes; ``progress`` hears of mails read.

    Linear algebra runs in one thread: with several, sums come in another order each time, and the
    same corpus would not give the same octets.
    """
    with threadpool_limits(1):
        return _fit(examples, settings, jobs, progress)


def _fit(
    examples: list[Example],
    settings: FitSettings,
    jobs: int,
    progress: Callable[[int], None] | None,
) -> Fitted:
    labels = np.array([example.label for example in examples])
    groups = np.array([example.group for example in examples])
    views = read_views([example.content for example in examples], jobs, progress)
    logits, folds = _unseen_logits(views, labels, groups, settings, jobs)
    model = _learner(settings).fit(views.whole, labels, groups).calibrate(logits, labels)
    weights, scale = _quantised(model)
    out_of_fold = softmax(logits / model.temperature_)
    return Fitted(
        learner=model,
        weights=weights,
        scale=scale,
        intercept=model.intercept_,
        temperature=model.temperature_,
        thresholds=thresholds(out_of_fold, labels, hard_cases(examples), settings),
        out_of_fold=out_of_fold,
        folds=folds,
    )


def _learner(settings: FitSettings) -> ThemedRegression:
    return ThemedRegression(settings.strength, settings.themes, settings.seed)


def _unseen_logits(
    views: Views,
    labels: NDArray[np.str_],
    groups: NDArray[np.str_],
    settings: FitSettings,
    jobs: int,
) -> tuple[NDArray[np.float64], tuple[Fold, ...]]:
    """The logits (n, 3) of each mail by a model that saw no mail of its theme; those models."""
    for label in LABELS:
        themes = len(set(groups[labels == label]))
        if themes < settings.folds:
            raise CorpusError(f"label {label} has {themes} themes; {settings.folds} are needed")
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    folds = list(splitter.split(labels, labels, groups))
    whole = views.whole

    def unseen(
        seen: NDArray[np.int64], test: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], Fold]:
        learner = _learner(settings).fit(whole[seen], labels[seen], groups[seen])
        tested = views.of(test)
        found = tested.worst(learner.decision_function(tested.matrix))
        return found, Fold(test, *_quantised(learner), learner.intercept_)

    parts = Parallel(n_jobs=jobs)(delayed(unseen)(*fold) for fold in folds)
    logits = np.empty((len(labels), len(LABELS)))
    for part, fold in parts:
        logits[fold.test] = part
    return logits, tuple(fold for _, fold in parts)


def _quantised(estimator: ThemedRegression) -> tuple[NDArray[np.int16], float]:
    """The coefficients as 16-bit steps, (SIZE, 3), and the size of a step.

    The estimator gets the rounded ones back, so that the published model is the fitted one to the
    last digit. The step is far below what a verdict could notice, and makes a bundle small.
    """
    step = float(np.abs(estimator.coef_).max()) / 32767
    weights = np.rint(estimator.coef_ / step).astype(np.int16)
    estimator.coef_ = weights * step
    return np.ascontiguousarray(weights.T), step


def thresholds(
    out_of_fold: NDArray[np.float64],
    labels: NDArray[np.str_],
    hard: NDArray[np.bool_],
    settings: FitSettings,
) -> Thresholds:
    """The least thresholds that keep within the budgets.

    Judged by ``out_of_fold`` (n, 3), each mail by a model that saw none of its theme. Wanted is
    all that is not ``fake``; ``hard`` (n,) marks the hard cases among them.
    """
    fake, genuine = (out_of_fold[:, LABELS.index(label)] for label in ("fake", "genuine"))
    wanted, nothing = labels != "fake", labels == "none"
    certain = _least(fake[wanted], hard[wanted], settings.budget)
    unsure = min(_least(fake[wanted], hard[wanted], settings.unsure_budget), certain)
    found = _least(genuine[nothing], hard[nothing], settings.genuine_budget)
    return Thresholds(fake=certain, unsure=unsure, genuine=min(found, 0.5))


def _least(scores: NDArray[np.float64], hard: NDArray[np.bool_], budget: float) -> float:
    """The least threshold (four decimals) that no more mails reach than ``budget`` allows.

    ``scores`` (n,) of mails that should not reach it. Counted is the median bound of Clopper and
    Pearson (1934) for everyday mails and hard cases, each by its share of real mail: below it, and
    above it, the true rate lies with equal chance. Where there are too few mails to show that the
    budget is kept at all, the threshold is above all of them.
    """
    candidates = np.unique(np.append(np.floor(scores * 10_000) / 10_000, 0.0)) + 0.0001
    share = hard_share()
    rate = sum(
        part * _median_rate(scores[kind], candidates)
        for kind, part in ((hard, share), (~hard, 1 - share))
    )
    kept = np.flatnonzero(rate <= budget)
    return float(round(min(candidates[kept[0] if len(kept) else -1], 1.0), 4))


def _median_rate(
    scores: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each threshold the median bound of the rate at which such mails reach it."""
    if not len(scores):
        return np.zeros(len(thresholds))
    reached = len(scores) - np.searchsorted(np.sort(scores), thresholds, side="left")
    bound: NDArray[np.float64] = beta.ppf(0.5, reached + 1, np.maximum(len(scores) - reached, 1e-9))
    return bound

"""Learning: examples in, a fitted model with its honest figures out. Deterministic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from milter.spam.bundle import LABELS, Thresholds
from training.data import CorpusError, Example
from training.vectorize import MailVectorizer


@dataclass(frozen=True, slots=True)
class FitSettings:
    """What decides a fit besides its data; all of it is saved in the manifest."""

    seed: int = 20261123
    # Folds of whole themes: a figure must never come from a sibling of what was learned.
    folds: int = 5
    # Inverse strength of the L2 penalty.
    strength: float = 10.0
    # Of a thousand wanted mails, how many may be called fake.
    budget: float = 0.001
    # Of a thousand wanted mails, how many may be called unsure or fake.
    unsure_budget: float = 0.02
    # A mail is called genuine from this probability on, if that is more than none's.
    genuine: float = 0.5
    # Words (subject and body) below which there is too little to go on.
    too_little: int = 4


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model.

    ``pipeline``: scikit-learn's, from contents to probabilities in the order of ``LABELS``.
    ``weights`` (SIZE, 3) int16 times ``scale`` and ``intercept`` (3,) are its coefficients,
    ``temperature`` its calibration. ``out_of_fold`` (n, 3): the probabilities of each example by
    a model that saw none of its theme.
    """

    pipeline: Pipeline
    weights: NDArray[np.int16]
    scale: float
    intercept: NDArray[np.float64]
    temperature: float
    thresholds: Thresholds
    out_of_fold: NDArray[np.float64]


def fit(
    examples: list[Example],
    settings: FitSettings,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Fitted:
    """Learn from ``examples`` in ``jobs`` processes; ``progress`` hears of mails read."""
    labels = np.array([example.label for example in examples])
    matrix = MailVectorizer(jobs, progress).transform([example.content for example in examples])
    folds = _folds(examples, matrix, labels, settings)
    calibrated = CalibratedClassifierCV(
        _learner(settings), method="temperature", cv=folds, ensemble=False, n_jobs=jobs
    )
    calibrated.fit(matrix, labels)
    model = calibrated.calibrated_classifiers_[0]
    temperature = 1.0 / float(model.calibrators[0].beta_)
    weights, scale = _quantised(model.estimator)
    logits = cross_val_predict(
        _learner(settings), matrix, labels, cv=folds, n_jobs=jobs, method="decision_function"
    )
    out_of_fold = _softmax(logits / temperature)
    return Fitted(
        pipeline=Pipeline([("vectorize", MailVectorizer()), ("classify", calibrated)]),
        weights=weights,
        scale=scale,
        intercept=np.asarray(model.estimator.intercept_, dtype=np.float64),
        temperature=temperature,
        thresholds=thresholds(out_of_fold, labels, settings),
        out_of_fold=out_of_fold,
    )


def _learner(settings: FitSettings) -> LogisticRegression:
    return LogisticRegression(
        C=settings.strength, class_weight="balanced", max_iter=5000, random_state=settings.seed
    )


def _folds(
    examples: list[Example],
    matrix: csr_matrix,
    labels: NDArray[np.str_],
    settings: FitSettings,
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Train and test indices of each fold; a theme is in one fold, in all its languages."""
    groups = [example.group for example in examples]
    for label in LABELS:
        themes = {g for g, of in zip(groups, labels, strict=True) if of == label}
        if len(themes) < settings.folds:
            raise CorpusError(
                f"label {label} has {len(themes)} themes; {settings.folds} folds need as many"
            )
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    return list(splitter.split(matrix, labels, groups))


def _quantised(estimator: LogisticRegression) -> tuple[NDArray[np.int16], float]:
    """The coefficients as 16-bit steps, (SIZE, 3), and the size of a step.

    The estimator gets the rounded ones back, so that the published model is the fitted one to the
    last digit. The step is far below what a verdict could notice, and makes a bundle small.
    """
    step = float(np.abs(estimator.coef_).max()) / 32767
    weights = np.rint(estimator.coef_ / step).astype(np.int16)
    estimator.coef_ = weights * step
    return np.ascontiguousarray(weights.T), step


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result


def thresholds(
    out_of_fold: NDArray[np.float64], labels: NDArray[np.str_], settings: FitSettings
) -> Thresholds:
    """Thresholds at which no more wanted mail than the budgets allow is called fake or unsure.

    Wanted is all that is not ``fake``, each mail judged by a model that saw none of its theme.
    """
    fake = out_of_fold[:, LABELS.index("fake")]
    wanted = np.sort(fake[labels != "fake"])[::-1]
    certain = _above(wanted, settings.budget)
    return Thresholds(
        fake=certain,
        unsure=min(_above(wanted, settings.unsure_budget), certain),
        genuine=settings.genuine,
    )


def _above(scores: NDArray[np.float64], share: float) -> float:
    """The least threshold (four decimals) that at most ``share`` of ``scores`` (falling) reach."""
    allowed = int(share * len(scores))
    return float(min(np.ceil(scores[allowed] * 10_000 + 0.5) / 10_000, 1.0))

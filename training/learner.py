"""The learner: a calibrated linear model on features that several themes share."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils import compute_class_weight


class ThemedRegression(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Multinomial logistic regression on features seen in several themes, scaled by their idf.

    A word that one theme alone uses tells the theme, not the label: such features are dropped.
    Inverse document frequency (Sparck Jones 1972) is folded into the coefficients, because
    w . (idf * x) = (w * idf) . x, so the published model is one array of weights. A theme counts
    by the root of its number of mails, so that no large theme rules the rest, unless ``fit`` is
    told otherwise.

    ``strength``: inverse of the L2 penalty. ``themes``: in how many a feature must occur.
    Learned: ``classes_``, ``coef_`` (k, features), ``intercept_`` (k,), ``temperature_``.
    """

    def __init__(self, strength: float = 4.0, themes: int = 2, seed: int = 0) -> None:
        self.strength = strength
        self.themes = themes
        self.seed = seed

    def fit(
        self,
        matrix: csr_matrix,
        labels: NDArray[np.str_],
        groups: NDArray[np.str_] | None = None,
        weights: NDArray[np.float64] | None = None,
        sample: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Learn from mails (n, features), their labels (n,) and themes ``groups`` (n,).

        ``weights`` (n,): how much each mail counts beside the others; their unit is of no matter.
        ``sample`` (n,): which mails are a sample of what comes in, all by default. How frequent
        labels are is learned from these alone, and the others take none of their weight away.
        """
        mails, features = matrix.shape
        names = np.arange(mails) if groups is None else groups
        _, theme, sizes = np.unique(names, return_inverse=True, return_counts=True)
        kept, frequency = _shared(matrix, theme, min(self.themes, len(sizes)))
        idf = np.log((1 + mails) / (1 + frequency)) + 1
        weight = 1 / np.sqrt(sizes[theme]) if weights is None else weights
        scaled = matrix[:, kept] @ diags(idf)
        del matrix  # the memory is needed for the next step
        usual = np.ones(mails, dtype=np.bool_) if sample is None else sample
        coefficients, self.intercept_ = self._fit(scaled, labels, weight, usual)
        self.classes_ = np.unique(labels)
        self.coef_ = np.zeros((len(self.classes_), features))
        self.coef_[:, kept] = coefficients * idf
        self.temperature_ = 1.0
        return self

    def _fit(
        self,
        matrix: csr_matrix,
        labels: NDArray[np.str_],
        weight: NDArray[np.float64],
        sample: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients (k, features) and intercept (k,).

        The intercept is a feature that only the sample has, where there are others beside it.
        """
        weight = weight * sample.sum() / weight[sample].sum()
        classes = np.unique(labels)
        balance = compute_class_weight(
            "balanced", classes=classes, y=labels[sample], sample_weight=weight[sample]
        )
        model = LogisticRegression(
            C=self.strength,
            class_weight=dict(zip(classes, balance, strict=True)),
            fit_intercept=bool(sample.all()),
            max_iter=5000,
            random_state=self.seed,
        )
        if model.fit_intercept:
            model.fit(matrix, labels, sample_weight=weight)
            return model.coef_, model.intercept_
        constant = csr_matrix(sample[:, np.newaxis].astype(np.float64))
        model.fit(hstack([matrix, constant], format="csr"), labels, sample_weight=weight)
        return model.coef_[:, :-1], model.coef_[:, -1]

    def calibrate(self, logits: NDArray[np.float64], labels: NDArray[np.str_]) -> Self:
        """Set the temperature by logits (n, k) of mails that were not learned from.

        One number that all log-odds are divided by, the one under which the labels are likeliest
        (Guo et al. 2017, section 4.2). It changes how sure a verdict is, never which one it is.
        """

        def surprise(log_temperature: float) -> float:
            probabilities = softmax(logits / np.exp(log_temperature))
            return float(log_loss(labels, probabilities, labels=self.classes_))

        found = minimize_scalar(surprise, bounds=(-3.0, 3.0), method="bounded")
        self.temperature_ = round(float(np.exp(found.x)), 4)  # more digits would only be noise
        return self

    def decision_function(self, matrix: csr_matrix) -> NDArray[np.float64]:
        """Log-odds up to a constant of each mail and class, (n, k)."""
        result: NDArray[np.float64] = matrix @ self.coef_.T + self.intercept_
        return result

    def predict_proba(self, matrix: csr_matrix) -> NDArray[np.float64]:
        """Calibrated probabilities, (n, k)."""
        return softmax(self.decision_function(matrix) / self.temperature_)

    def predict(self, matrix: csr_matrix) -> NDArray[np.str_]:
        """The likeliest class of each mail, (n,)."""
        result: NDArray[np.str_] = self.classes_[self.decision_function(matrix).argmax(axis=1)]
        return result


def _shared(
    matrix: csr_matrix, theme: NDArray[np.int64], least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The features that occur in ``least`` themes, and in how many mails each of them does.

    ``theme`` (n,) of each mail counts from 0.
    """
    seen = (matrix != 0).astype(np.int32)
    member = csr_matrix((np.ones(len(theme), np.int32), (theme, np.arange(len(theme)))))
    themes = np.bincount((member @ seen).indices, minlength=matrix.shape[1])
    kept = np.flatnonzero(themes >= least)
    return kept, np.asarray(seen.sum(axis=0)).ravel()[kept]


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of ``logits`` (n, k) to probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result

"""The learner: a calibrated linear model on features that several themes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils import compute_class_weight

from training.spool import Growing, Rows


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
        rows: Rows,
        labels: NDArray[np.str_],
        groups: NDArray[np.str_] | NDArray[np.int64] | None = None,
        weights: NDArray[np.float64] | None = None,
        sample: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Learn from mails (n, features), their labels (n,) and themes ``groups`` (n,).

        What is learned from lies in a file (``spool``), read once for each step of the solver.
        ``weights`` (n,): how much each mail counts beside the others; their unit is of no matter.
        ``sample`` (n,): which mails are a sample of what comes in, all by default. How frequent
        labels are is learned from these alone, and the others take none of their weight away.
        """
        mails, features = rows.shape
        names = np.arange(mails) if groups is None else groups
        _, theme, sizes = np.unique(names, return_inverse=True, return_counts=True)
        kept, frequency = _shared(rows, theme, min(self.themes, len(sizes)))
        idf = np.log((1 + mails) / (1 + frequency)) + 1
        weight = 1 / np.sqrt(sizes[theme]) if weights is None else weights
        usual = np.ones(mails, dtype=np.bool_) if sample is None else sample
        scaled = _scaled(rows, kept, idf, usual)
        coefficients, self.intercept_ = self._fit(scaled, labels, weight, usual)
        self.classes_ = np.unique(labels)
        self.coef_: NDArray[np.float64] = np.zeros((len(self.classes_), features))
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
        """Coefficients (k, features) and intercept (k,); see ``_scaled`` for what that is."""
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
        model.fit(matrix, labels, sample_weight=weight)
        if model.fit_intercept:
            return model.coef_, model.intercept_
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
    rows: Rows, theme: NDArray[np.int64], least: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The features that occur in ``least`` themes, and in how many mails each of them does.

    ``theme`` (n,) of each mail counts from 0. Of each feature so many themes are remembered as
    are needed to tell, one a line, -1 where there is none yet.
    """
    themes = np.full((least, rows.shape[1]), -1)
    mails = np.zeros(rows.shape[1], np.int64)
    for own, ids in zip(theme.tolist(), _distinct(rows), strict=True):
        mails[ids] += 1
        for line in themes:
            line[ids[line[ids] < 0]] = own
            ids = ids[line[ids] != own]
    kept = np.flatnonzero(themes[-1] >= 0)
    return kept, mails[kept]


def _distinct(rows: Rows) -> Iterator[NDArray[np.int32]]:
    """The features of each mail, each once."""
    for chunk in rows.chunks():
        chunk.sum_duplicates()
        yield from np.split(chunk.indices, chunk.indptr[1:-1])


def _scaled(
    rows: Rows, kept: NDArray[np.int64], idf: NDArray[np.float64], sample: NDArray[np.bool_]
) -> csr_matrix:
    """The features that are ``kept``, (n, m), times their ``idf`` (m,).

    Where not all are of the sample, the intercept is a feature that only the sample has, the last.
    """
    constant = csr_matrix(sample[:, np.newaxis].astype(np.float64))
    if sample.all():
        constant = constant[:, :0]
    found, at = Growing(len(kept) + constant.shape[1]), 0
    for chunk in rows.chunks():
        chunk.sum_duplicates()
        more = constant[at : at + chunk.shape[0]]
        found.add(hstack([chunk[:, kept] @ diags(idf), more], format="csr"))
        at += chunk.shape[0]
    return found.matrix()


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of ``logits`` (n, k) to probabilities."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result

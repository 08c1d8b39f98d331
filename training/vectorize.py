"""Mails to the matrix that scikit-learn learns from, by the filter's own tokenizer and features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin

from milter.mail.text import read_text
from milter.spam.features import SIZE, Features, features
from milter.spam.tokens import tokenize

# Mails a job: large enough that handing them to another process does not cost more than the work.
_BATCH = 50


class MailVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """Contents of n mails to a sparse matrix (n, SIZE). Has nothing to learn.

    ``jobs`` processes work side by side (joblib); ``progress`` is called with the number of mails
    done after each batch.
    """

    def __init__(self, jobs: int = 1, progress: Callable[[int], None] | None = None) -> None:
        self.jobs = jobs
        self.progress = progress

    def fit(self, contents: Sequence[bytes], labels: object = None) -> Self:
        """Nothing to learn: features are hashed."""
        return self

    def transform(self, contents: Sequence[bytes]) -> csr_matrix:
        """The features of each mail as one row."""
        batches = [contents[at : at + _BATCH] for at in range(0, len(contents), _BATCH)]
        run = Parallel(n_jobs=self.jobs, return_as="generator")
        rows: list[Features] = []
        for batch in run(delayed(_features)(batch) for batch in batches):
            rows += batch
            if self.progress:
                self.progress(len(rows))
        return as_matrix(rows)

    def __sklearn_is_fitted__(self) -> bool:
        return True


def _features(contents: Sequence[bytes]) -> list[Features]:
    return [features(tokenize(read_text(content))) for content in contents]


def as_matrix(rows: Sequence[Features]) -> csr_matrix:
    """Sparse vectors as the rows of a matrix (n, SIZE)."""
    lengths = np.cumsum([0] + [len(row.ids) for row in rows])
    ids: Any = np.concatenate([row.ids for row in rows]) if rows else []
    values: Any = np.concatenate([row.values for row in rows]) if rows else []
    return csr_matrix((values, ids, lengths), shape=(len(rows), SIZE))

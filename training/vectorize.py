"""Mails to the matrix that scikit-learn learns from, by the filter's own tokenizer and features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from milter.mail.text import read_text
from milter.spam.features import SIZE, Features, views
from milter.spam.tokens import tokenize
from milter.spam.verdict import most_fake

# Mails a job: large enough that handing them to another process does not cost more than the work.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Views:
    """The views of n mails: ``matrix`` (v, SIZE), one row a view, and ``mail`` (v,), whose it is.

    A mail's views stand together, the whole mail first.
    """

    matrix: csr_matrix
    mail: NDArray[np.int64]

    @property
    def whole(self) -> csr_matrix:
        """The rows of the whole mails, (n, SIZE)."""
        return self.matrix[np.flatnonzero(np.diff(self.mail, prepend=-1))]

    def of(self, mails: NDArray[np.int64]) -> Views:
        """The views of some of the mails, which are numbered anew in their order."""
        kept = np.isin(self.mail, mails)
        return Views(self.matrix[kept], np.unique(self.mail[kept], return_inverse=True)[1])

    def worst(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of ``logits`` (v, 3), those of the view of each mail that speaks most for fake, (n, 3).

        That is how the filter judges (``milter.spam.verdict.judge``).
        """
        parts = np.split(logits, np.flatnonzero(np.diff(self.mail)) + 1)
        return np.stack([part[most_fake(part)] for part in parts])


def read_views(
    contents: Sequence[bytes], jobs: int = 1, progress: Callable[[int], None] | None = None
) -> Views:
    """Read n mails (octets, CRLF lines).

    ``jobs`` processes work side by side (joblib); ``progress`` is called with the number of mails
    done after each batch.
    """
    batches = [contents[at : at + _BATCH] for at in range(0, len(contents), _BATCH)]
    run = Parallel(n_jobs=jobs, return_as="generator")
    mails: list[list[Features]] = []
    for batch in run(delayed(_views)(batch) for batch in batches):
        mails += batch
        if progress:
            progress(len(mails))
    counts = [len(mail) for mail in mails]
    rows = [view for mail in mails for view in mail]
    return Views(as_matrix(rows), np.repeat(np.arange(len(mails)), counts))


def _views(contents: Sequence[bytes]) -> list[list[Features]]:
    return [views(tokenize(read_text(content))) for content in contents]


def as_matrix(rows: Sequence[Features]) -> csr_matrix:
    """Sparse vectors as the rows of a matrix (n, SIZE)."""
    lengths = np.cumsum([0] + [len(row.ids) for row in rows])
    ids: Any = np.concatenate([row.ids for row in rows]) if rows else []
    values: Any = np.concatenate([row.values for row in rows]) if rows else []
    return csr_matrix((values, ids, lengths), shape=(len(rows), SIZE))

"""Mails to the matrix that scikit-learn learns from, by the filter's own tokenizer and features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from milter.mail.text import read_text
from milter.spam.features import SIZE, views
from milter.spam.tokens import tokenize
from milter.spam.verdict import most_fake
from training.jobs import Jobs, run

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
    def first(self) -> NDArray[np.int64]:
        """The row of each whole mail, (n,)."""
        return np.flatnonzero(np.diff(self.mail, prepend=-1))

    @property
    def whole(self) -> csr_matrix:
        """The rows of the whole mails, (n, SIZE)."""
        return self.matrix[self.first]

    def of(self, mails: NDArray[np.int64]) -> Views:
        """The views of some of the mails, which are numbered anew in their order."""
        kept = np.isin(self.mail, mails)
        return Views(self.matrix[kept], np.unique(self.mail[kept], return_inverse=True)[1])

    def worst(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of ``logits`` (v, 3), those of the view of each mail that speaks most for fake, (n, 3).

        That is how the filter judges (``milter.spam.verdict.judge``).
        """
        if not len(logits):
            return logits
        parts = np.split(logits, np.flatnonzero(np.diff(self.mail)) + 1)
        return np.stack([part[most_fake(part)] for part in parts])


def read_views(
    contents: Sequence[bytes], jobs: Jobs = 1, progress: Callable[[int], None] | None = None
) -> Views:
    """Read n mails (octets, CRLF lines).

    ``jobs`` work side by side (``training.jobs``); ``progress`` is called with the number of mails
    done after each batch.
    """
    batches = [contents[at : at + _BATCH] for at in range(0, len(contents), _BATCH)]
    parts, done = [], 0
    for part in run(jobs, _rows, None, batches):
        parts.append(part)
        done += len(part.views)
        if progress:
            progress(done)
    counts = np.concatenate([part.views for part in parts] or [np.zeros(0, np.int64)])
    return Views(_as_matrix(parts), np.repeat(np.arange(len(counts)), counts))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The vectors of some mails, one behind the other: arrays alone, so that they travel light.

    ``lengths`` (v,) of the views, ``views`` (mails,) how many of them each mail has.
    """

    ids: NDArray[np.int32]
    values: NDArray[np.float64]
    lengths: NDArray[np.int64]
    views: NDArray[np.int64]


def _rows(_: None, contents: Sequence[bytes]) -> _Rows:
    mails = [views(tokenize(read_text(content))) for content in contents]
    rows = [row for mail in mails for row in mail]
    return _Rows(
        ids=np.concatenate([row.ids for row in rows]).astype(np.int32),
        values=np.concatenate([row.values for row in rows]),
        lengths=np.array([len(row.ids) for row in rows]),
        views=np.array([len(mail) for mail in mails]),
    )


def _as_matrix(parts: Sequence[_Rows]) -> csr_matrix:
    """All vectors as the rows of a matrix (v, SIZE)."""
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    ids: Any = np.concatenate([part.ids for part in parts]) if parts else []
    values: Any = np.concatenate([part.values for part in parts]) if parts else []
    return csr_matrix((values, ids, np.cumsum(lengths)), shape=(len(lengths) - 1, SIZE))

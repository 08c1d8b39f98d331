"""Mails to the matrix that scikit-learn learns from, by the filter's own tokenizer and features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from milter.mail.text import read_text
from milter.spam.features import SIZE, views
from milter.spam.tokens import Tokens, tokenize
from milter.spam.verdict import most_fake
from training.jobs import Jobs, run
from training.spool import Growing, taken

# Mails a job: large enough that handing them to another process does not cost more than the work.
_BATCH = 50


@dataclass(frozen=True, slots=True)
class Views:
    """The views of n mails: ``matrix`` (v, SIZE), one row a view, and ``mail`` (v,), whose it is.

    A mail's views stand together, the whole mail first. The matrix lies in a file (``spool``).
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
        return taken(self.matrix, self.first)

    def of(self, mails: NDArray[np.int64]) -> Views:
        """The views of some of the mails, which are numbered anew in their order."""
        kept = np.flatnonzero(np.isin(self.mail, mails))
        numbers = np.unique(self.mail[kept], return_inverse=True)[1]
        return Views(taken(self.matrix, kept), numbers)

    def worst(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of ``logits`` (v, 3), those of the view of each mail that speaks most for fake, (n, 3).

        That is how the filter judges (``milter.spam.verdict.judge``).
        """
        ends = np.append(self.first, len(logits)).tolist()
        rows = [at + most_fake(logits[at:end]) for at, end in pairwise(ends)]
        result: NDArray[np.float64] = logits[rows]
        return result


def read_views(
    contents: Iterable[bytes],
    jobs: Jobs = 1,
    progress: Callable[[int], None] | None = None,
    senders: bool = True,
) -> Views:
    """Read n mails (octets, CRLF lines), one after another: they need not be in memory at once.

    ``jobs`` work side by side (``training.jobs``); ``progress`` is called with the number of mails
    done after each batch. ``senders``: whether these are features, as they are to the filter.
    """
    matrix, counts, done = Growing(SIZE), [np.zeros(0, np.int64)], 0
    for part in run(jobs, _rows, senders, _batches(contents)):
        matrix.add_arrays(part.ids, part.values, part.lengths)
        counts.append(part.views)
        done += len(part.views)
        if progress:
            progress(done)
    views = np.concatenate(counts)
    return Views(matrix.matrix(), np.repeat(np.arange(len(views)), views))


def _batches(contents: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(contents)
    while batch := list(islice(left, _BATCH)):
        yield batch


@dataclass(frozen=True, slots=True)
class _Rows:
    """The vectors of some mails, one behind the other: arrays alone, so that they travel light.

    ``lengths`` (v,) of the views, ``views`` (mails,) how many of them each mail has.
    """

    ids: NDArray[np.int32]
    values: NDArray[np.float64]
    lengths: NDArray[np.int64]
    views: NDArray[np.int64]


def _rows(senders: bool, contents: Sequence[bytes]) -> _Rows:
    mails = [views(_tokens(content, senders)) for content in contents]
    rows = [row for mail in mails for row in mail]
    return _Rows(
        ids=np.concatenate([row.ids for row in rows]).astype(np.int32),
        values=np.concatenate([row.values for row in rows]),
        lengths=np.array([len(row.ids) for row in rows]),
        views=np.array([len(mail) for mail in mails]),
    )


def _tokens(content: bytes, senders: bool) -> Tokens:
    tokens = tokenize(read_text(content))
    return tokens if senders else replace(tokens, sender="")

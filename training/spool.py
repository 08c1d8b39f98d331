"""What a large corpus would fill the memory with, put aside into files without a name.

Octets of mails and rows of matrices are written once, piece by piece, and read from there. The
kernel keeps of them in memory what there is room for, and takes it back when somebody needs it; so
a corpus may be larger than the memory. Nothing is left behind, whatever ends the process.

Files are mapped to be read only: on a full disk ``write`` fails with a sentence (``SpoolError``),
where a map that is written into would end the process.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from milter.errors import CoopError

# Where large files belong that may go at any time: /tmp is in memory on many systems.
_PLACE = "/var/tmp"  # noqa: S108 - a file without a name can be taken from nobody
# Rows that are in memory at a time: a mail has a thousand features at most, of 12 octets each.
_ROWS = 1000


class SpoolError(CoopError):
    """Nothing can be put aside; the text says why."""


class _File:
    """A file without a name that grows behind its end. Raises ``SpoolError``."""

    def __init__(self) -> None:
        self._folder = os.environ.get("TMPDIR") or _PLACE
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                self._descriptor = os.dup(file.fileno())
        except OSError as error:
            raise self._fault(error) from error
        weakref.finalize(self, os.close, self._descriptor)
        self.size = 0

    def append(self, octets: bytes | memoryview) -> None:
        left = memoryview(octets).cast("B")
        while left:
            try:
                written = os.write(self._descriptor, left)
            except OSError as error:
                raise self._fault(error) from error
            self.size += written
            left = left[written:]

    def read(self, at: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, at)

    def array(self, kind: type[np.generic]) -> NDArray[Any]:
        """All that was written, to be read only."""
        if not self.size:
            return np.zeros(0, kind)
        mapped = mmap.mmap(self._descriptor, self.size, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, kind)

    def _fault(self, error: OSError) -> SpoolError:
        return SpoolError(
            f"{self._folder}: {error.strerror}; learning puts some 20 kB a mail aside there. "
            "Make room, or name a folder with room in TMPDIR"
        )


class Spool:
    """Octets put aside, to be read again as often as need be."""

    def __init__(self) -> None:
        self._file = _File()

    def keep(self, octets: bytes) -> Kept:
        """Put ``octets`` aside; what comes back stands for them. Raises ``SpoolError``."""
        at = self._file.size
        self._file.append(octets)
        return Kept(self._file, at, len(octets))


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Octets that lie in a file: ``length`` of them behind the first ``at``; equal if these are."""

    file: _File
    at: int
    length: int

    def read(self) -> bytes:
        """The octets."""
        return self.file.read(self.at, self.length)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kept) and self.read() == other.read()

    def __hash__(self) -> int:
        return hash(self.read())


def octets_of(kept: bytes | Kept) -> bytes:
    """The octets, whether they are in memory or put aside."""
    return kept if isinstance(kept, bytes) else kept.read()


class Growing:
    """A sparse matrix of so many columns that grows by rows, put aside.

    Beyond 2^31 values (some three million mails) scipy takes the numbers of columns into memory.
    """

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._ids, self._values = _File(), _File()
        self._lengths: list[NDArray[np.int32]] = []

    def add(self, rows: csr_matrix) -> None:
        """Append the rows of a matrix. Raises ``SpoolError``."""
        self.add_arrays(rows.indices, rows.data, np.diff(rows.indptr))

    def add_arrays(
        self, ids: NDArray[Any], values: NDArray[np.float64], lengths: NDArray[Any]
    ) -> None:
        """Append rows: ids and values one behind the other, ``lengths`` (rows,) says whose."""
        self._ids.append(np.ascontiguousarray(ids, np.int32).data)
        self._values.append(np.ascontiguousarray(values, np.float64).data)
        self._lengths.append(lengths.astype(np.int32))

    def matrix(self) -> csr_matrix:
        """All rows; read only."""
        lengths = np.concatenate([np.zeros(1, np.int64), *self._lengths])
        arrays = (self._values.array(np.float64), self._ids.array(np.int32), np.cumsum(lengths))
        return csr_matrix(arrays, shape=(len(lengths) - 1, self._columns))


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of some matrices, in their order; never all in memory at once."""

    parts: Sequence[tuple[csr_matrix, NDArray[np.int64]]]

    @classmethod
    def of(cls, matrix: csr_matrix) -> Rows:
        """All of a matrix."""
        return cls([(matrix, np.arange(matrix.shape[0]))])

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return sum(len(rows) for _, rows in self.parts), self.parts[0][0].shape[1]

    def chunks(self) -> Iterator[csr_matrix]:
        """The rows, some at a time, as matrices of their own."""
        for matrix, rows in self.parts:
            for at in range(0, len(rows), _ROWS):
                yield matrix[rows[at : at + _ROWS]]


def taken(matrix: csr_matrix, rows: NDArray[np.int64]) -> csr_matrix:
    """``matrix[rows]``, put aside; of rows that stand together nothing is copied."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return _between(matrix, int(rows[0]), int(rows[-1]) + 1)
    found = Growing(matrix.shape[1])
    for chunk in Rows([(matrix, rows)]).chunks():
        found.add(chunk)
    return found.matrix()


def _between(matrix: csr_matrix, first: int, end: int) -> csr_matrix:
    ends = matrix.indptr[first : end + 1]
    begin, last = int(ends[0]), int(ends[-1])
    values, ids = (_view(array, begin, last) for array in (matrix.data, matrix.indices))
    return csr_matrix((values, ids, ends - begin), shape=(end - first, matrix.shape[1]))


def _view(array: NDArray[Any], begin: int, end: int) -> NDArray[Any]:
    """A part of an array. As a slice of it scipy would copy what is less than half."""
    part = array[begin:end]
    return np.frombuffer(part.data, array.dtype) if len(part) else part

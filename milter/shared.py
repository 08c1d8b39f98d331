"""Numbers that all worker processes see."""

from __future__ import annotations

import mmap

_OCTETS = 8


def shared_numbers(count: int) -> memoryview:
    """``count`` whole numbers of 64 bits, all 0, in memory that processes forked later share.

    There is no lock: a number that is counted up must have one process that writes it. Reading one
    is safe at any time, because an aligned word is written whole.
    """
    return memoryview(mmap.mmap(-1, _OCTETS * count)).cast("q")

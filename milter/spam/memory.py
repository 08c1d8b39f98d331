"""What was worked out for a word is remembered, within bounds: mails are made of the same few."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")

#: Keys of one generation; two are kept.
GENERATION = 25_000
#: Characters of the longest key that is kept; German compounds are shorter.
LONGEST = 30


class Memory(dict[str, _Value]):
    """``make(key)`` for each key that is looked up, most of the time without making it again.

    The keys come from other people's mail, which must not fill memory by their number or length:
    long ones are not kept, and with every ``GENERATION`` new ones those are forgotten that nobody
    has asked for since the one before. A ``dict``, so that known keys cost no call of Python.
    """

    __slots__ = ("_make", "_older")

    def __init__(self, make: Callable[[str], _Value]) -> None:
        super().__init__()
        self._make = make
        self._older: dict[str, _Value] = {}

    def __missing__(self, key: str) -> _Value:
        value = self._older[key] if key in self._older else self._make(key)
        if len(key) <= LONGEST:
            if len(self) >= GENERATION:
                self._older = dict(self)
                super().clear()
            self[sys.intern(key)] = value  # the same word in other memories: one string
        return value

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._older.clear()

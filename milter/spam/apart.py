"""Words whose letters were set apart, put together again: ``b a c k l i n k``.

Where one blank stands between two letters of a word and between two words alike, nobody can see
where a word ends (``g u e s t p o s t``, ``a l i n k``). Those that the phrase lists know tell:
letters that are such words, one behind the other, are these words; others stay one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from milter.spam.terms import lexicon

# Single letters with a blank, dot or dash between each.
_APART = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){3,60}[^\W\d_](?![^\W_])")
_BETWEEN = re.compile(r"[ .\-_*]")
# Letters that often are words by themselves; others are initials.
_ALONE = frozenset("aio")
# Words of two or three letters are found in any letters, so they count for two; and letters are
# only taken for words if these count for no more than one for each two letters.
_SHORT, _PER_WORD = (2, 3), 2
# Letters of the longest word that is looked for, which bounds the work.
_LONGEST = 16
# Letters of a beginning (``kooperation*``) that make all one word, such as a German compound.
_BEGINNING = 8


def together(text: str) -> str:
    """Folded text with the letters of words that were set apart joined to words again."""
    return _APART.sub(lambda match: _words(_BETWEEN.sub("", match.group())), text)


def _words(letters: str) -> str:
    """The fewest known words that ``letters`` are, with blanks between them, or one word."""
    if letters in _known() or letters.startswith(_beginnings()):
        return letters
    fewest: list[_Counted] = [(0, ())]
    for end in range(1, len(letters) + 1):
        fewest.append(min(_ending_at(end, letters, fewest), default=_NONE))
    count, found = fewest[-1]
    return " ".join(found) if count * _PER_WORD <= len(letters) else letters


# Known words, and for how many they count.
_Words = tuple[str, ...]
_Counted = tuple[int, _Words]
_NONE: _Counted = (1000, ())


def _ending_at(end: int, letters: str, fewest: Sequence[_Counted]) -> Iterator[_Counted]:
    """The words that the first letters are, by each that the last of them may be."""
    for start in range(max(0, end - _LONGEST), end):
        word = letters[start:end]
        if word in _known():
            count, before = fewest[start]
            yield count + 1 + (len(word) in _SHORT), (*before, word)


@cache
def _known() -> frozenset[str]:
    return frozenset(word for word in lexicon().words if len(word) > 1 or word in _ALONE)


@cache
def _beginnings() -> tuple[str, ...]:
    return tuple(sorted(start for start in lexicon().beginnings if len(start) >= _BEGINNING))

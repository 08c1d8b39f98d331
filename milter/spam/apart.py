"""Words whose letters were set apart, put together again: ``b a c k l i n k``.

Where wider gaps stand between words, each run of letters is one. Where one blank stands between
two letters of a word and between two words alike (``g u e s t p o s t``, ``a l i n k``), nobody can
see where a word ends. Those that the phrase lists know tell: letters that are such words, one
behind the other, are these words; others stay one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from milter.spam.terms import lexicon

# Single letters with a blank, dot or dash between each.
_APART = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){3,60}[^\W\d_](?![^\W_])")
_BETWEEN = re.compile(r"[ .\-_*]")
# What stands behind or before a wider gap on its line, each letter and mark of it by itself.
_CLEAR = re.compile(r"(?<=  )\S(?: \S)+(?=  |\n|\Z)|(?:\A|(?<=\n))\S(?: \S)+(?=  )")
_MARGIN = re.compile(r"[ \t]*\n[ \t]*")
# Letters that often are words by themselves, before or behind another; others are initials.
_ALONE = frozenset("aio")
# Letters of the shortest word that is looked for (shorter ones are found in any letters), and of
# the longest, which bounds the work.
_SHORTEST, _LONGEST = 4, 16
# Letters of a beginning (``kooperation*``) that make all one word, such as a German compound.
_BEGINNING = 8


def together(text: str) -> str:
    """Folded text with the letters of words that were set apart joined to words again."""
    text = _CLEAR.sub(lambda match: match.group().replace(" ", ""), _MARGIN.sub("\n", text))
    return _APART.sub(lambda match: _words(_BETWEEN.sub("", match.group())), text)


def _words(letters: str) -> str:
    """The fewest known words that ``letters`` are, with blanks between them, or one word."""
    if letters in _known() or letters.startswith(_beginnings()):
        return letters
    fewest: list[_Words | None] = [()]
    for end in range(1, len(letters) + 1):
        fewest.append(min(_ending_at(end, letters, fewest), key=len, default=None))
    return " ".join(fewest[-1] or (letters,))


_Words = tuple[str, ...]


def _ending_at(end: int, letters: str, fewest: Sequence[_Words | None]) -> Iterator[_Words]:
    """The words that the first letters are, by each that the last of them may be."""
    for start in range(max(0, end - _LONGEST), end - _SHORTEST + 1):
        before, word = fewest[start], letters[start:end]
        if before is not None and word in _known():
            yield (*before, word)
    before, letter = fewest[end - 1], letters[end - 1]
    if before is not None and letter in _ALONE and end in (1, len(letters)):
        yield (*before, letter)


@cache
def _known() -> frozenset[str]:
    return frozenset(word for word in lexicon().words if len(word) >= _SHORTEST)


@cache
def _beginnings() -> tuple[str, ...]:
    return tuple(sorted(start for start in lexicon().beginnings if len(start) >= _BEGINNING))

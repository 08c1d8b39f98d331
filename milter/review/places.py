"""Where in a text its words stand.

Asks, offers and clues are found among the tokenizer's words, which have no places: letters are
folded, sums joined, letters that stand apart put together. So the text is cut into pieces, each
is read by the same tokenizer, and the pieces' words are laid beside the ones that were judged.
All of it is bounded by the tokenizer's own caps: it reads some hundred words of a text.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from milter.spam import tokens
from milter.spam.fold import in_latin

#: Start and end of a word, in characters of the text.
Span = tuple[int, int]

_CHUNK = re.compile(r"\S+")
# A word inside a chunk, as typed.
_PIECE = re.compile(r"[^\W_]+(?:['’‘ʼ´][^\W_]+)*|[€$£%]")
# What a chunk's word begins and ends with; quotation marks, brackets and dots are no part of it.
_EDGE = re.compile(r"[\w€$£%]")
# Characters of a text in which words are looked for; the tokenizer reads no more.
_MAX_TEXT = 8000
# Pieces that are looked through for a word that does not come next: a list's tag in a subject.
_AHEAD = 40
_JOINED = frozenset({"_money_", "_percent_"})
_SITES = frozenset({"_yoursite_", "_oursite_"})


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word that the tokenizer reads in one place of the text."""

    word: str
    start: int
    end: int


def spans(text: str, words: Sequence[str], sites: Collection[str] = ()) -> list[Span | None]:
    """The place in ``text`` of each of ``words``, its first ones; None where it cannot be told.

    ``words`` are those of ``tokens.tokenize``, ``sites`` the names for which it put kinds. Places
    never go back, and two words may share one.
    """
    found: list[Span | None] = []
    walk = _Walk(text, _pieces(text), sites)
    for number, word in enumerate(words):
        after = words[number + 1] if number + 1 < len(words) else None
        found.append(walk.find(word, after))
    return found


class _Walk:
    """Goes through the pieces of a text, word by word."""

    def __init__(self, text: str, pieces: list[_Piece], sites: Collection[str]) -> None:
        self._text = text
        self._pieces = pieces
        self._sites = sites
        self._at = 0

    def find(self, word: str, after: str | None) -> Span | None:
        """The place of the next word; one that does not come next is believed by its neighbour."""
        for at in range(self._at, min(self._at + _AHEAD, len(self._pieces))):
            end = self._taken(word, at)
            if not end:
                continue
            if at == self._at or after is None or self._taken(after, end):
                self._at = end
                return self._pieces[at].start, self._pieces[end - 1].end
        return None

    def _taken(self, word: str, at: int) -> int:
        """The piece behind those from ``at`` that make up the word; 0 if they do not."""
        if at >= len(self._pieces):
            return 0
        piece = self._pieces[at].word
        if word in (piece, in_latin(piece)):
            return at + 1
        if word in _JOINED:
            return self._sum(word, at)
        if word in _SITES:
            return at + 1 if in_latin(piece) in self._sites else 0
        return self._apart(word, at)

    def _sum(self, word: str, at: int) -> int:
        """A sum or share whose two halves stand apart."""
        two = self._pieces[at : at + 2]
        if len(two) == 2 and tokens.words(self._text[two[0].start : two[1].end]) == [word]:
            return at + 2
        return 0

    def _apart(self, word: str, at: int) -> int:
        """A word whose letters stand apart."""
        so_far = ""
        while at < len(self._pieces) and len(so_far) < len(word):
            so_far += in_latin(self._pieces[at].word)
            if not word.startswith(so_far):
                return 0
            at += 1
        return at if so_far == word else 0


def _pieces(text: str) -> list[_Piece]:
    return [
        piece
        for chunk in _CHUNK.finditer(text[:_MAX_TEXT])
        for piece in _chunk_pieces(chunk.group(), chunk.start())
    ]


def _chunk_pieces(chunk: str, start: int) -> list[_Piece]:
    """The words of what stands between two blanks: each in its place, or all in the same."""
    words = tokens.words(chunk)
    if len(words) > 1:
        parts = [
            _Piece(word, start + match.start(), start + match.end())
            for match in _PIECE.finditer(chunk)
            for word in tokens.words(match.group())
        ]
        if [part.word for part in parts] == words:
            return parts
    elif not words:  # a sign alone: half of a sum, perhaps
        words = [chunk.lower()] if _PIECE.fullmatch(chunk) else []
    first, last = _edges(chunk)
    return [_Piece(word, start + first, start + last) for word in words]


def _edges(chunk: str) -> Span:
    """Start and end of a chunk without the quotation marks, brackets and dots around it."""
    first = _EDGE.search(chunk)
    if not first:
        return 0, len(chunk)
    last = next(at for at in range(len(chunk), 0, -1) if _EDGE.match(chunk, at - 1))
    return first.start(), last

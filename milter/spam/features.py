"""From tokens to numbers: a hashed bag of words, runs of words, asks, offers and signs.

Each feature is a hash, so a published model spells out no word of anybody's mail. A word is hashed
once (CRC-32, remembered); runs and streams are made from word hashes by integer arithmetic on
whole arrays, which is what makes this quick.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milter.spam.terms import Found, lexicon
from milter.spam.tokens import Tokens

#: Raise this with every change that gives any tokens other features.
VERSION = 2

#: Number of features is 2 to this power: collisions are rare, weights stay small enough to share.
BITS = 20
SIZE = 1 << BITS

#: Words after which a long mail is judged by its beginning, too (``views``).
HEADS = (60, 100, 150, 200)

# Odd multipliers spread a 32-bit hash over its upper bits (Fibonacci hashing, Knuth 6.4); one a
# stream. A word of the subject is a word of the mail, and another feature as well.
_MIX = {"mail": 0x9E3779B1, "subject": 0x85EBCA77, "begin": 0x27D4EB2F, "mark": 0xC2B2AE3D}
_RUN = 0x165667B1
# Long words count by their beginning too: German compounds and inflections share it.
_BEGIN = 6
# Words of the longest run that counts.
_LONGEST = 3
# Weights against one word. An ask, an offer or a sign tells more than a word, for a mail has
# hundreds of words and a few of those. training/NOTES.md has what was tried.
_RUN_WEIGHT = 1.0
_MARK_WEIGHT = 1.5
_SIGN_WEIGHT = 2.0
# The least length of a mail's words: so few words are no evidence for anything.
_LENGTH = 10.0
# Bounds the memory that words of other people's mail can take.
_REMEMBERED = 200_000
# Accents are typed or left out, umlauts and sharp s have two spellings: one hash for both.
_ACCENTED = "éèêëàáâãåíìîïóòôõøúùûñçýăąćęłńśźżčřšžě"
_UNACCENTED = "eeeeaaaaaiiiiooooouuuncyaacelnszzcrsze"
_PLAIN = str.maketrans(
    dict(zip(_ACCENTED, _UNACCENTED, strict=True))
    | {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe"}
)
# Figures and names of sites are mute: they count in runs ("_number_ weeks", "on _yoursite_") but
# not by themselves, because how many sums and dates a mail has is a habit of its writer, and whose
# sites it names cannot be told without its header. Their hashes are the numbers below this one.
_MUTE = 16
_KINDS = {
    "_number_": 1,
    "_date_": 2,
    "_percent_": 3,
    "_money_": 4,
    "_yoursite_": 5,
    "_oursite_": 6,
}


@dataclass(frozen=True, slots=True)
class Features:
    """One mail, or its beginning, as a sparse vector: ``ids`` (n,) below ``SIZE``, ``values`` (n,).

    The part that is words and runs has length 1, or less in the shortest of mails. ``at`` (n,)
    are the features' places among all those of the mail, for ``Named``.
    """

    ids: NDArray[np.int64]
    values: NDArray[np.float64]
    at: NDArray[np.int64]
    named: Named

    @property
    def found(self) -> Found:
        """What the mail's phrases show."""
        return self.named.found

    def name(self, number: int) -> str:
        """What the feature with this number stands for, for people."""
        return self.named.name(int(self.at[number]))


@dataclass(frozen=True, slots=True)
class Named:
    """All features of a mail, from which its views are made, and what they stand for.

    Words and their beginnings first, then runs, then marks. ``places`` (m,) are those of words: of
    the body counted from 1, of the subject from its end, -1 being the last. So a feature is there
    as soon as as many of the body's words have been read, those of the subject from the beginning.
    A run or a phrase stands in the place of its last word. ``lengths`` (words,): how many words
    each feature has, 0 being the beginning of one.
    """

    tokens: Tokens
    found: Found
    marks: list[str]
    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]
    words: int

    def upto(self, place: int) -> Features:
        """The features of the mail's first words."""
        there = np.flatnonzero(self.places <= place)
        weights = self.weights[there]
        words = weights[: np.searchsorted(there, self.words)]
        length = float(np.sqrt(np.dot(words, words)))
        return Features(self.ids[there], weights / max(length, _LENGTH), there, self)

    def name(self, at: int) -> str:
        """What a feature stands for."""
        if at >= self.words:
            return self.marks[at - self.words]
        place, length = int(self.places[at]), int(self.lengths[at])
        words = self.tokens.subject if place < 0 else self.tokens.body
        end = place % (len(words) + 1)
        return " ".join(words[end - length : end]) if length else _begin(words[end - 1])


_hashes: dict[str, int] = {}
_begins: dict[str, int] = {}


def _hash(words: Sequence[str], known: dict[str, int] = _hashes) -> NDArray[np.uint32]:
    """CRC-32 of each word, or of its beginning where ``known`` is ``_begins``, (n,)."""
    try:
        return np.array([known[word] for word in words], dtype=np.uint32)
    except KeyError:
        _remember(words)
        return np.array([known[word] for word in words], dtype=np.uint32)


def _remember(words: Sequence[str]) -> None:
    if len(_hashes) > _REMEMBERED:
        _hashes.clear()
        _begins.clear()
    for word in words:
        if word not in _hashes:
            _begins[word] = _crc(begin) if (begin := _begin(word)) else 0
            _hashes[word] = _KINDS.get(word) or _crc(_plain(word))


def _crc(text: str) -> int:
    return max(zlib.crc32(text.encode("utf-8", "surrogatepass")), _MUTE)


def _plain(word: str) -> str:
    """A word as it is hashed."""
    return word if word.isascii() else word.translate(_PLAIN)


def _begin(word: str) -> str:
    """What a long word begins with; empty for short ones."""
    plain = _plain(word)
    return plain[:_BEGIN] + "-" if len(plain) > _BEGIN and plain not in _KINDS else ""


def _spread(hashes: NDArray[np.uint32], stream: str) -> NDArray[np.uint32]:
    """32-bit hashes to feature ids of ``stream``; unsigned arithmetic wraps, as it should."""
    mixed: NDArray[np.uint32] = (hashes ^ (hashes >> np.uint32(15))) * np.uint32(_MIX[stream])
    return mixed >> np.uint32(32 - BITS)


def _runs(hashes: NDArray[np.uint32], length: int) -> NDArray[np.uint32]:
    """The hash of each run of ``length`` words, (n - length + 1,)."""
    runs = hashes
    for at in range(1, length):
        runs = runs[:-1] * np.uint32(_RUN) + (hashes[at:] ^ np.uint32(0x5BD1E995))
    return runs


def features(tokens: Tokens) -> Features:
    """The features of one mail, as far as it is read.

    Words count as present or not: a pitch does not become worse by repetition, and a filter not
    better by padding. The words' part has length 1 whatever the mail's own length.
    """
    return _all(tokens).upto(len(tokens.body))


def views(tokens: Tokens) -> list[Features]:
    """The mail as far as it is read and, if it goes on beyond that, its beginnings.

    A pitch that is followed by pages of harmless words is still a pitch.
    """
    named = _all(tokens)
    heads = HEADS if tokens.longer else ()
    return [named.upto(place) for place in (len(tokens.body), *heads)]


def _all(tokens: Tokens) -> Named:
    """All features of a mail, each once, where it stands first."""
    found = lexicon().find(tokens.subject, tokens.body)
    marks = _marks(tokens, found)
    mark_ids = _spread(np.array([_crc(name) for name, _, _ in marks], dtype=np.uint32), "mark")
    groups = [_words(tokens), *(_all_runs(tokens, n) for n in range(2, _LONGEST + 1))]
    lengths = np.concatenate([group.lengths for group in groups])
    weights = np.where(lengths > 1, _RUN_WEIGHT, 1.0)
    return Named(
        tokens=tokens,
        found=found,
        marks=[name for name, _, _ in marks],
        ids=np.concatenate([*(group.ids for group in groups), mark_ids]).astype(np.int64),
        weights=np.append(weights, [weight for _, weight, _ in marks]),
        places=np.concatenate(
            [*(group.places for group in groups), np.array([at for _, _, at in marks], np.int64)]
        ),
        lengths=lengths,
        words=len(lengths),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Features of one sort, each once, where it stands first; see ``Named``."""

    ids: NDArray[np.uint32]
    places: NDArray[np.int64]
    lengths: NDArray[np.int64]


def _words(tokens: Tokens) -> _Group:
    """Words and the beginnings of long ones."""
    words = tokens.subject + tokens.body
    hashes, begins = _hash(words), _hash(words, _begins)
    said, long = np.flatnonzero(hashes >= _MUTE), np.flatnonzero(begins)
    titled = said[: np.searchsorted(said, len(tokens.subject))]
    ids = [
        _spread(hashes[said], "mail"),
        _spread(hashes[titled], "subject"),
        _spread(begins[long], "begin"),
    ]
    distinct, first = np.unique(np.concatenate(ids), return_index=True)
    where = np.concatenate([said, titled, long])[first]
    whole = first < len(said) + len(titled)
    return _Group(distinct, _places(tokens)[where], whole.astype(np.int64))


def _all_runs(tokens: Tokens, length: int) -> _Group:
    """Runs of words, of subject and body apart."""
    title = len(tokens.subject)
    ids = [
        _spread(_runs(_hash(tokens.subject), length), "subject"),
        _spread(_runs(_hash(tokens.body), length), "mail"),
    ]
    distinct, first = np.unique(np.concatenate(ids), return_index=True)
    places = _places(tokens)
    ends = np.concatenate([places[:title][length - 1 :], places[title:][length - 1 :]])
    return _Group(distinct, ends[first], np.full(len(distinct), length))


def _places(tokens: Tokens) -> NDArray[np.int64]:
    """The place of each word, the subject's before the body's (``Named``)."""
    title = len(tokens.subject)
    places = np.arange(-title, len(tokens.body))
    places[title:] += 1
    return places


def _marks(tokens: Tokens, found: Found) -> list[tuple[str, float, int]]:
    """Name, weight and place of what is asked, offered, shown or disguised.

    The names are such as no word can have.
    """
    weights = {"asks": _MARK_WEIGHT, "offers": _MARK_WEIGHT, "signs": _SIGN_WEIGHT}
    marks = [
        (f"{kind[:-1]} {name}", weights[kind], end) for (kind, name), end in found.ends.items()
    ]
    return marks + [(f"note {note}", _MARK_WEIGHT, 0) for note in tokens.notes]

"""From tokens to numbers: a hashed bag of words, word pairs, asks, offers and signs.

Each feature is a hash, so a published model spells out no word of anybody's mail. A word is hashed
once (CRC-32, remembered); pairs and streams are made from word hashes by integer arithmetic on
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
BITS = 18
SIZE = 1 << BITS

#: Words after which a long mail is judged by its beginning, too (``views``).
HEADS = (60, 100, 150, 200)

# Odd multipliers spread a 32-bit hash over its upper bits (Fibonacci hashing, Knuth 6.4); one a
# stream. A word of the subject is a word of the mail, and another feature as well.
_MIX = {"mail": 0x9E3779B1, "subject": 0x85EBCA77, "begin": 0x27D4EB2F, "mark": 0xC2B2AE3D}
_PAIR = 0x165667B1
# Long words count by their beginning too: German compounds and inflections share it.
_BEGIN = 6
# Weights against one word. A pair tells less than a word; an ask, an offer or a note tells more: a
# mail has hundreds of words and a few of those. training/NOTES.md has what was tried.
_PAIR_WEIGHT = 1.0
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
# Figures and names of sites are mute: they count in pairs ("_number_ weeks", "on _yoursite_") but
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

    The part that is words and pairs has length 1, or less in the shortest of mails. ``at`` (n,)
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

    Singles first, then pairs, then marks. ``places`` (m,) are those of words: of the body counted
    from 1, of the subject from its end, -1 being the last. So a feature is there as soon as as many
    of the body's words have been read, those of the subject from the beginning. A pair stands in
    the place of its second word, a mark in that of its phrase's last.
    """

    tokens: Tokens
    found: Found
    marks: list[str]
    ids: NDArray[np.int64]
    weights: NDArray[np.float64]
    places: NDArray[np.int64]
    begun: NDArray[np.bool_]
    singles: int
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
        last = self._word(at)
        if at < self.singles:
            return _begin(last) if self.begun[at] else last
        return f"{self._word(at, 1)} {last}"

    def _word(self, at: int, before: int = 0) -> str:
        place = int(self.places[at])
        if place < 0:
            return self.tokens.subject[place - before]
        return self.tokens.body[place - 1 - before]


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


def _pairs(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The hash of each word with its successor, (n - 1,)."""
    return hashes[:-1] * np.uint32(_PAIR) + (hashes[1:] ^ np.uint32(0x5BD1E995))


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
    singles, places, begun = _singles(tokens)
    pairs, pair_places = _word_pairs(tokens)
    found = lexicon().find(tokens.subject, tokens.body)
    marks = _marks(tokens, found)
    mark_ids = _spread(np.array([_crc(name) for name, _, _ in marks], dtype=np.uint32), "mark")
    return Named(
        tokens=tokens,
        found=found,
        marks=[name for name, _, _ in marks],
        ids=np.concatenate([singles, pairs, mark_ids]).astype(np.int64),
        weights=np.concatenate(
            [
                np.ones(len(singles)),
                np.full(len(pairs), _PAIR_WEIGHT),
                np.array([weight for _, weight, _ in marks], dtype=np.float64),
            ]
        ),
        places=np.concatenate(
            [places, pair_places, np.array([place for _, _, place in marks], dtype=np.int64)]
        ),
        begun=begun,
        singles=len(singles),
        words=len(singles) + len(pairs),
    )


def _singles(
    tokens: Tokens,
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.bool_]]:
    """Ids and places of words and of their beginnings, and which of them are beginnings."""
    words = tokens.subject + tokens.body
    places = _places(tokens)
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
    return distinct, places[where], first >= len(said) + len(titled)


def _word_pairs(tokens: Tokens) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Ids and places of pairs of words, of subject and body apart."""
    subject, body = _hash(tokens.subject), _hash(tokens.body)
    ids = [_spread(_pairs(subject), "subject"), _spread(_pairs(body), "mail")]
    distinct, first = np.unique(np.concatenate(ids), return_index=True)
    places = _places(tokens)
    return distinct, np.concatenate([places[: len(subject)][1:], places[len(subject) :][1:]])[first]


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

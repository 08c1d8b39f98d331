"""From tokens to numbers: a hashed bag of words, runs of words, asks, offers and signs.

Each feature is a hash, so a published model spells out no word of anybody's mail. A word is hashed
once (CRC-32, remembered); runs and streams are made from word hashes by integer arithmetic on
whole arrays, which is what makes this quick. The arrays are short: a call of numpy costs more than
what it does, so there is one for all sorts of features wherever there can be.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from milter.spam.memory import Memory
from milter.spam.terms import Found, lexicon
from milter.spam.tokens import MAX_WORDS, Tokens

#: Raise this with every change that gives any tokens other features.
VERSION = 3

#: Number of features is 2 to this power, but for senders: collisions are rare, weights stay small
#: enough to share.
BITS = 20
WORDS = 1 << BITS
#: Senders stand behind: what is told of one weighs much, and no word may have it.
SENDERS = 1 << 18
SIZE = WORDS + SENDERS

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

    The part that is words and runs has length 1, or less in the shortest of mails; its sender is 1
    in every mail. ``at`` (n,) are the features' places among all of the mail, for ``Named``.
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

    Words and their beginnings first, then runs, then marks, the sender last. ``places`` (m,) are
    those of words: of the body counted from 1, of the subject from its end, -1 being the last. So a
    feature is there as soon as as many of the body's words have been read, those of the subject
    from the beginning. A run or a phrase stands in the place of its last word. ``lengths``
    (words,): how many words each feature has, 0 being the beginning of one.
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
        there = (self.places <= place).nonzero()[0]
        weights = self.weights.take(there)
        words = weights[: there.searchsorted(self.words)]
        length = float(np.sqrt(np.dot(words, words)))
        values = weights / max(length, _LENGTH)
        if self.tokens.sender:
            values[-1] = 1.0
        return Features(self.ids.take(there), values, there, self)

    @property
    def ends(self) -> tuple[int, ...]:
        """Up to which places the mail is judged: as far as it is read, and its beginnings."""
        return (len(self.tokens.body), *(HEADS if self.tokens.longer else ()))

    def dense(self) -> NDArray[np.float64]:
        """The values up to each of ``ends``, (ends, m), 0 for a feature that is not there yet."""
        values = (self.places <= np.array(self.ends)[:, np.newaxis]) * self.weights
        words = values[:, : self.words]
        lengths = np.sqrt(np.einsum("ij,ij->i", words, words))
        values /= np.maximum(lengths, _LENGTH)[:, np.newaxis]
        if self.tokens.sender:
            values[:, -1] = 1.0
        return values

    def name(self, at: int) -> str:
        """What a feature stands for."""
        if at >= self.words:
            return self.marks[at - self.words]
        place, length = int(self.places[at]), int(self.lengths[at])
        words = self.tokens.subject if place < 0 else self.tokens.body
        end = place % (len(words) + 1)
        return " ".join(words[end - length : end]) if length else _begin(words[end - 1])


# Two numbers of 32 bits in one: how far the upper one stands above the lower one.
_ABOVE = 32


def _hashed(word: str) -> int:
    """A word's hash (CRC-32), and above it that of its beginning, 0 where there is none."""
    begin = _begin(word)
    return (_KINDS.get(word) or _crc(_plain(word))) | (_crc(begin) if begin else 0) << _ABOVE


_hashes = Memory(_hashed)


def _crc(text: str) -> int:
    return max(zlib.crc32(text.encode("utf-8", "surrogatepass")), _MUTE)


def _plain(word: str) -> str:
    """A word as it is hashed."""
    return word if word.isascii() else word.translate(_PLAIN)


def _begin(word: str) -> str:
    """What a long word begins with; empty for short ones."""
    plain = _plain(word)
    return plain[:_BEGIN] + "-" if len(plain) > _BEGIN and plain not in _KINDS else ""


def _spread(hashes: NDArray[np.uint32], streams: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """32-bit hashes to feature ids of ``streams``; unsigned arithmetic wraps, as it should."""
    return ((hashes ^ (hashes >> np.uint32(15))) * streams) >> np.uint32(32 - BITS)


def features(tokens: Tokens) -> Features:
    """The features of one mail, as far as it is read.

    Words count as present or not: a pitch does not become worse by repetition, and a filter not
    better by padding. The words' part has length 1 whatever the mail's own length.
    """
    return named(tokens).upto(len(tokens.body))


def views(tokens: Tokens) -> list[Features]:
    """The mail as far as it is read and, if it goes on beyond that, its beginnings.

    A pitch that is followed by pages of harmless words is still a pitch.
    """
    whole = named(tokens)
    return [whole.upto(place) for place in whole.ends]


def named(tokens: Tokens) -> Named:
    """All features of a mail, each once, where it stands first."""
    found = lexicon().find(tokens.subject, tokens.body)
    marks = _marks(tokens, found)
    ids, places, lengths = _words_and_runs(tokens)
    return Named(
        tokens=tokens,
        found=found,
        marks=[mark.name for mark in marks],
        ids=np.concatenate([ids, np.array([mark.id for mark in marks], np.int64)]),
        weights=np.concatenate(
            [np.where(lengths > 1, _RUN_WEIGHT, 1.0), [mark.weight for mark in marks]]
        ),
        places=np.concatenate([places, np.array([mark.place for mark in marks], np.int64)]),
        lengths=lengths,
        words=len(lengths),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the features of a mail's words can stand: tables of (rows, columns).

    A row is a sort of features: words, words of the subject once more, beginnings of words, runs
    of two, runs of three. A column is a word, the last one of each feature in it; a mail has as
    many of the first columns as it has words. ``above`` (rows, 1) keeps runs of one length apart
    from all else, standing above their ids; ``lengths`` and ``places`` (rows * columns,), by the
    numbers in ``order``, are as in ``Named``.
    """

    streams: NDArray[np.uint32]
    above: NDArray[np.uint32]
    possible: NDArray[np.bool_]
    order: NDArray[np.int64]
    lengths: NDArray[np.int64]
    places: NDArray[np.int64]


# The rows behind that of words; those of runs come last.
_TITLED, _BEGINS = 1, 2


@lru_cache(maxsize=64)  # subjects have few lengths, and their tables some 60 kB
def _layout(title: int, columns: int, longest: int) -> _Layout:
    """The layout for up to ``columns`` words, the first ``title`` of which are the subject's."""
    places = np.arange(columns) - title
    in_title = places < 0
    places[title:] += 1
    before = np.where(in_title, np.arange(columns), places - 1)  # words of its stream before each
    more = np.arange(1, longest)[:, np.newaxis]
    mail, subject, begin = (np.uint32(_MIX[name]) for name in ("mail", "subject", "begin"))
    streams = [np.full(columns, stream) for stream in (mail, subject, begin)]
    possible = [np.full(columns, True), in_title, np.full(columns, True)]
    rows = len(streams) + longest - 1
    return _Layout(
        streams=np.stack([*streams, *[np.where(in_title, subject, mail)] * (longest - 1)]),
        above=np.concatenate([[[0]] * len(streams), more]).astype(np.uint32) << np.uint32(BITS),
        possible=np.concatenate([possible, before >= more]),
        order=np.arange(rows * columns).reshape(rows, columns),
        lengths=np.repeat([1, 1, 0, *range(2, longest + 1)], columns),
        places=np.tile(places, rows),
    )


# Ids, places and lengths of some features; see ``Named``.
_Group = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _words_and_runs(tokens: Tokens) -> _Group:
    """Words, the beginnings of long ones, and runs of words, of subject and body apart.

    Each once, where it stands first, and in the order of the ids.
    """
    words = tokens.subject + tokens.body
    number = len(words)
    columns = max(number, 2 * MAX_WORDS)
    layout = _layout(len(tokens.subject), columns, _LONGEST)
    known = np.fromiter(map(_hashes.__getitem__, words), np.uint64, number)
    hashes = known.astype(np.uint32)
    there = layout.possible[:, :number].copy()
    there[: _TITLED + 1] &= hashes >= _MUTE
    ids = np.zeros(there.shape, np.uint32)
    ids[: _TITLED + 1] = hashes
    ids[_BEGINS] = known >> _ABOVE
    there[_BEGINS] = ids[_BEGINS] != 0
    runs, turned = hashes, hashes ^ np.uint32(0x5BD1E995)
    for more in range(1, _LONGEST):
        runs = runs[:-1] * np.uint32(_RUN) + turned[more:]
        ids[_BEGINS + more, more:] = runs
    ids = _spread(ids, layout.streams[:, :number]) | layout.above
    found, first = _first_of_each(ids[there].astype(np.int64), layout.order[:, :number][there])
    return found & (WORDS - 1), layout.places.take(first), layout.lengths.take(first)


def _first_of_each(
    ids: NDArray[np.int64], order: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct ids, rising, and of each the lowest ``order``.

    To sort numbers that have the order in their lower half takes a fourth of ``np.unique``'s time.
    """
    keys = (ids << _ABOVE) | order
    keys.sort()
    found = keys >> _ABOVE
    new = np.ones(len(keys), np.bool_)
    np.not_equal(found[1:], found[:-1], out=new[1:])
    return found[new], keys[new] & ((1 << _ABOVE) - 1)


class _Mark(NamedTuple):
    """What phrases show, what is disguised, or who has sent the mail."""

    name: str
    id: int
    weight: float
    place: int


def _marks(tokens: Tokens, found: Found) -> list[_Mark]:
    """What is asked, offered, shown or disguised, and as the last one who has sent it.

    The names are such as no word can have.
    """
    weights = {"asks": _MARK_WEIGHT, "offers": _MARK_WEIGHT, "signs": _SIGN_WEIGHT}
    told = [(f"{kind[:-1]} {name}", weights[kind], end) for (kind, name), end in found.ends.items()]
    told += [(f"note {note}", _MARK_WEIGHT, 0) for note in tokens.notes]
    marks = [_Mark(name, _mark_id(name), weight, place) for name, weight, place in told]
    if tokens.sender:
        marks.append(_Mark(f"sender {tokens.sender}", sender_id(tokens.sender), 1.0, 0))
    return marks


@cache  # the lists are closed
def _mark_id(name: str) -> int:
    return int(_spread(np.array([_crc(name)], np.uint32), np.array([_MIX["mark"]], np.uint32))[0])


def sender_id(name: str) -> int:
    """The feature of a mail with this sender (``mail.sites``)."""
    return WORDS + _crc(name) % SENDERS

"""From tokens to numbers: a hashed bag of words, word pairs, asks and offers.

Each feature is a hash, so a published model spells out no word of anybody's mail. A word is hashed
once (CRC-32, remembered); pairs and streams are made from word hashes by integer arithmetic on
whole arrays, which is what makes this quick.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from milter.spam.terms import Found, lexicon
from milter.spam.tokens import Tokens

#: Raise this with every change that gives any tokens other features.
VERSION = 1

#: Number of features is 2 to this power: collisions are rare, weights stay small enough to share.
BITS = 18
SIZE = 1 << BITS

# Odd multipliers spread a 32-bit hash over its upper bits (Fibonacci hashing, Knuth 6.4); one a
# stream. A word of the subject is a word of the mail, and another feature as well.
_MIX = {"mail": 0x9E3779B1, "subject": 0x85EBCA77, "begin": 0x27D4EB2F, "mark": 0xC2B2AE3D}
_PAIR = 0x165667B1
# Long words count by their beginning too: German compounds and inflections share it.
_BEGIN = 6
# Weights against one word. A pair tells less than a word; an ask, an offer or a note tells more: a
# mail has hundreds of words and a few of those. training/NOTES.md has what was tried.
_PAIR_WEIGHT = 0.6
_MARK_WEIGHT = 2.0
# Bounds the memory that words of other people's mail can take.
_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Features:
    """One mail as a sparse vector: ``ids`` (n,) below ``SIZE``, ``values`` (n,).

    The part that is words and pairs has length 1.
    """

    ids: NDArray[np.int64]
    values: NDArray[np.float64]
    found: Found


_hashes: dict[str, int] = {}


def _hash(words: Sequence[str]) -> NDArray[np.uint32]:
    """CRC-32 of each word, (n,)."""
    known = _hashes
    try:
        return np.array([known[word] for word in words], dtype=np.uint32)
    except KeyError:
        if len(known) > _REMEMBERED:
            known.clear()
        for word in words:
            if word not in known:
                known[word] = zlib.crc32(word.encode("utf-8", "surrogatepass"))
        return np.array([known[word] for word in words], dtype=np.uint32)


def _spread(hashes: NDArray[np.uint32], stream: str) -> NDArray[np.uint32]:
    """32-bit hashes to feature ids of ``stream``; unsigned arithmetic wraps, as it should."""
    mixed: NDArray[np.uint32] = (hashes ^ (hashes >> np.uint32(15))) * np.uint32(_MIX[stream])
    return mixed >> np.uint32(32 - BITS)


def _pairs(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The hash of each word with its successor, (n - 1,)."""
    return hashes[:-1] * np.uint32(_PAIR) + (hashes[1:] ^ np.uint32(0x5BD1E995))


def _streams(tokens: Tokens) -> list[tuple[str, Sequence[str], bool]]:
    """Name, words, and whether word pairs count, of each stream; quoted words are others' own."""
    distinct = dict.fromkeys(tokens.subject + tokens.body)
    begins = [word[:_BEGIN] + "-" for word in distinct if len(word) > _BEGIN]
    return [
        ("mail", tokens.body, True),
        ("mail", tokens.subject, False),
        ("subject", tokens.subject, True),
        ("begin", begins, False),
    ]


def _marks(tokens: Tokens, found: Found) -> list[str]:
    """Asks, offers and what was disguised, as names that no word can have."""
    marks = [f"ask {name}" for name in found.asks] + [f"offer {name}" for name in found.offers]
    return marks + [f"note {note}" for note in tokens.notes]


def features(tokens: Tokens) -> Features:
    """The features of one mail.

    Words count as present or not: a pitch does not become worse by repetition, and a filter not
    better by padding. The words' part has length 1 whatever the mail's own length.
    """
    found = lexicon().find(tokens.subject, tokens.body)
    singles, pairs = _word_ids(tokens)
    marks = np.unique(_spread(_hash(_marks(tokens, found)), "mark"))
    ids = np.concatenate([singles, pairs, marks]).astype(np.int64)
    values = np.repeat([1.0, _PAIR_WEIGHT, _MARK_WEIGHT], [len(singles), len(pairs), len(marks)])
    values /= np.sqrt(max(len(singles) + _PAIR_WEIGHT**2 * len(pairs), 1.0))
    return Features(ids, values, found)


def _word_ids(tokens: Tokens) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The ids of single words and of pairs, in all streams, each without repeats."""
    singles, pairs = [], [np.empty(0, np.uint32)]
    for stream, words, paired in _streams(tokens):
        hashes = _hash(words)
        singles.append(_spread(hashes, stream))
        if paired and len(hashes) > 1:
            pairs.append(_spread(_pairs(hashes), stream))
    return np.unique(np.concatenate(singles)), np.unique(np.concatenate(pairs))


def names(tokens: Tokens, found: Found, wanted: Set[int]) -> dict[int, str]:
    """What the ``wanted`` feature ids of this mail stand for, for people; the longest name wins."""
    named: dict[int, str] = {}
    for stream, words, paired in _streams(tokens):
        hashes = _hash(words)
        for id_, word in zip(_spread(hashes, stream).tolist(), words, strict=True):
            if id_ in wanted:
                named.setdefault(id_, word)
        if paired and len(hashes) > 1:
            pairs = pairwise(words)
            for id_, pair in zip(_spread(_pairs(hashes), stream).tolist(), pairs, strict=True):
                if id_ in wanted:
                    named[id_] = " ".join(pair)
    marks = _marks(tokens, found)
    ids = _spread(_hash(marks), "mark").tolist()
    named.update((id_, mark) for id_, mark in zip(ids, marks, strict=True) if id_ in wanted)
    return named

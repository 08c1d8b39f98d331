"""From tokens to numbers: a hashed bag of words, word pairs, asks and offers.

Each feature is a hash, so a published model spells out no word of anybody's mail. A word is hashed
once (CRC-32, remembered); pairs and streams are made from word hashes by integer arithmetic on
whole arrays, which is what makes this quick.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
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
# stream, so that a word in the subject is another feature than the same word in the body.
_MIX = {"body": 0x9E3779B1, "subject": 0x85EBCA77, "quoted": 0xC2B2AE3D, "begin": 0x27D4EB2F}
_PAIR = 0x165667B1
# Long words count by their beginning too: German compounds and inflections share it.
_BEGIN = 6
# Weight of an ask, an offer or a note against one word: a mail has hundreds of these, and a few of
# those. Tried: 1, 2, 4, 8 (training/NOTES.md).
_MARK_WEIGHT = 4.0
# Bounds the memory that words of other people's mail can take.
_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Features:
    """One mail as a sparse vector of length 1: ``ids`` (n,) below ``SIZE``, ``values`` (n,)."""

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
    """Name, words, and whether word pairs count, of each stream."""
    begins = [word[:_BEGIN] + "-" for word in tokens.body if len(word) > _BEGIN]
    return [
        ("body", tokens.body, True),
        ("subject", tokens.subject, True),
        ("quoted", tokens.quoted, False),
        ("begin", begins, False),
    ]


def _marks(tokens: Tokens, found: Found) -> list[str]:
    """Asks, offers, their balance and what was disguised, as names that no word can have."""
    marks = [f"ask {name}" for name in found.asks] + [f"offer {name}" for name in found.offers]
    marks += [f"note {note}" for note in tokens.notes]
    marks += [f"{ask} for {offer}" for ask in found.asks for offer in found.offers or ("nothing",)]
    return marks


def features(tokens: Tokens) -> Features:
    """The features of one mail.

    Words count as present or not: a pitch does not become worse by repetition, and a filter not
    better by padding. The words' part has length 1 whatever the mail's own length.
    """
    found = lexicon().find(tokens.subject, tokens.body)
    words = np.unique(np.concatenate(_word_ids(tokens)))
    marks = np.unique(_spread(_hash(_marks(tokens, found)), "body"))
    ids = np.concatenate([words, marks]).astype(np.int64)
    values = np.full(len(ids), 1.0)
    values[len(words) :] = _MARK_WEIGHT
    values /= np.sqrt(max(len(words), 1))
    return Features(ids, values, found)


def _word_ids(tokens: Tokens) -> list[NDArray[np.uint32]]:
    ids = []
    for stream, words, paired in _streams(tokens):
        hashes = _hash(words)
        ids.append(_spread(hashes, stream))
        if paired and len(hashes) > 1:
            ids.append(_spread(_pairs(hashes), stream))
    return ids


def names(tokens: Tokens, found: Found) -> dict[int, str]:
    """What each feature id of this mail stands for, for people; the longest name wins a tie."""
    named: dict[int, str] = {}
    for stream, words, paired in _streams(tokens):
        hashes = _hash(words)
        for id_, word in zip(_spread(hashes, stream).tolist(), words, strict=True):
            named.setdefault(id_, word)
        if paired and len(hashes) > 1:
            pairs = pairwise(words)
            for id_, pair in zip(_spread(_pairs(hashes), stream).tolist(), pairs, strict=True):
                named[id_] = " ".join(pair)
    marks = _marks(tokens, found)
    named.update(zip(_spread(_hash(marks), "body").tolist(), marks, strict=True))
    return named

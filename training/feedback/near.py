"""Which mails are nearly the same: one pitch sent to hundreds, with another name at its top."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from milter.mail.text import MailText

# Words of a shingle. Phrases that everybody writes are shorter; eight words in a row are copied.
_SHINGLE = 8
# Words of a mail that are compared. Its point is on the first page, and what is behind it must not
# cost a retrain its memory.
_MOST_WORDS = 600
# Leaders that a mail is compared with, about: from so many on its further shingles add none. Where
# thousands of mails are put together of a few paragraphs, comparing all that share one would take
# the square of their number; and one that is near shares most of what is rare.
_MOST_COMPARED = 100
# Numbers that shingles are counted under, 32 MB of them.
_BUCKETS = 1 << 22
_WORD = re.compile(r"\w+")

#: The shingles of a mail by its key; those of all mails are too many to be kept in memory.
Shingles = Callable[[str], NDArray[np.int64]]


def words(text: MailText) -> list[str]:
    """The words that the sender wrote, lower case."""
    return _WORD.findall(f"{text.body}\n{text.signature}".lower())


def shingles(text: MailText) -> NDArray[np.int64]:
    """Hashes of all runs of eight words, each once: 64 bits do not collide among millions.

    A mail of fewer words is one run. The hashes are another process's other ones; which mails
    share how many of them is the same in all.
    """
    found = words(text)[:_MOST_WORDS]
    if len(found) < _SHINGLE:
        return np.array([hash(tuple(_WORD.findall(text.subject.lower()) + found))])
    runs = zip(*(found[at:] for at in range(_SHINGLE)), strict=False)
    return np.unique(np.fromiter(map(hash, runs), np.int64))


def leaders(mails: Collection[str], shingles: Shingles, threshold: float) -> dict[str, str]:
    """For each key of ``mails`` the key of the one that stands for it: its own, or a smaller one's.

    In the order of the keys each mail follows the first leader that it is near to, or becomes one;
    whatever order the mails were found in. Near: the share of common shingles in the mean of both
    numbers reaches ``threshold``. No chains: a mail is near to its leader, not to a follower only.
    """
    keys = sorted(mails)
    places = _places(map(shingles, keys))
    telling = _shared([_telling(shingles(key), places, threshold) for key in keys])
    index: defaultdict[int, list[str]] = defaultdict(list)
    leader: dict[str, str] = {}
    for key, found in zip(keys, telling, strict=True):
        near = _candidates(found, index)
        leader[key] = _first_near(key, near, shingles, threshold)
        if leader[key] == key:
            for shingle in found.tolist():
                index[shingle].append(key)
    return leader


def _candidates(found: NDArray[np.int64], index: Mapping[int, list[str]]) -> list[str]:
    """Leaders that have one of a mail's telling shingles, by the rarest of them first."""
    near: set[str] = set()
    for shingle in found.tolist():
        near.update(islice(index.get(shingle, ()), _MOST_COMPARED))
        if len(near) >= _MOST_COMPARED:
            break
    return sorted(near)


def _first_near(key: str, others: Sequence[str], shingles: Shingles, threshold: float) -> str:
    if not others:
        return key
    own = shingles(key)
    for other in others:
        found = shingles(other)
        common = len(np.intersect1d(own, found, assume_unique=True))
        if 2 * common >= threshold * (len(own) + len(found)):
            return other
    return key


def _places(mails: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """How many mails have each shingle; those with the same last bits are counted as one."""
    counts = np.zeros(_BUCKETS, np.int64)
    for found in mails:
        np.add.at(counts, found & (_BUCKETS - 1), 1)
    return counts


def _telling(
    found: NDArray[np.int64], places: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """So many of the rarest shingles that every near mail has one of them among its own.

    A near mail shares at least ``threshold / (2 - threshold)`` of them, so it can miss only the
    rest (prefix filtering: Chaudhuri, Ganti and Kaushik 2006). Footers that everybody has are no
    part of it: without that, 5,000 mails of one list would be compared pair by pair. Which ones
    count as rare is of no matter, as long as it is the same for all mails.
    """
    least = math.ceil(threshold / (2 - threshold) * len(found) - 1e-9)
    rarest = np.lexsort((found, places[found & (_BUCKETS - 1)]))
    return found[rarest[: len(found) - least + 1]]


def _shared(telling: Sequence[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Of the telling shingles of each mail those that are another one's, too: they are few."""
    every = np.sort(np.concatenate([*telling, np.zeros(0, np.int64)]))
    several = every[1:][every[1:] == every[:-1]]
    if not len(several):
        return [found[:0] for found in telling]
    at = (np.searchsorted(several, found) for found in telling)
    return [
        f[several[np.minimum(a, len(several) - 1)] == f] for f, a in zip(telling, at, strict=True)
    ]

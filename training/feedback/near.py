"""Which mails are nearly the same: one pitch sent to hundreds, with another name at its top."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from milter.mail.text import MailText

# Words of a shingle. Phrases that everybody writes are shorter; eight words in a row are copied.
_SHINGLE = 8
# Words of a mail that are compared. Its point is on the first page, and what is behind it must not
# cost a retrain its memory.
_MOST_WORDS = 600
_WORD = re.compile(r"\w+")


def words(text: MailText) -> list[str]:
    """The words that the sender wrote, lower case."""
    return _WORD.findall(f"{text.body}\n{text.signature}".lower())


def shingles(text: MailText) -> frozenset[int]:
    """Hashes of all runs of eight words: 64 bits do not collide among millions.

    A mail of fewer words is one run. The hashes are another process's other ones; which mails
    share how many of them is the same in all.
    """
    found = words(text)[:_MOST_WORDS]
    if len(found) < _SHINGLE:
        return frozenset([hash(tuple(_WORD.findall(text.subject.lower()) + found))])
    return frozenset(map(hash, zip(*(found[at:] for at in range(_SHINGLE)), strict=False)))


def leaders(mails: Mapping[str, frozenset[int]], threshold: float) -> dict[str, str]:
    """For each key the key of the mail that stands for it: its own, or a smaller one's.

    In the order of the keys each mail follows the first leader that it is near to, or becomes one;
    whatever order the mails were found in. Near: the share of common shingles in the mean of both
    numbers reaches ``threshold``. No chains: a mail is near to its leader, not to a follower only.
    """
    places = Counter(shingle for found in mails.values() for shingle in found)
    index: defaultdict[int, list[str]] = defaultdict(list)
    leader: dict[str, str] = {}
    for key in sorted(mails):
        telling = _telling(mails[key], places, threshold)
        near = sorted({other for shingle in telling for other in index[shingle]})
        leader[key] = _first_near(key, near, mails, threshold)
        if leader[key] == key:
            for shingle in telling:
                index[shingle].append(key)
    return leader


def _first_near(
    key: str, others: Sequence[str], mails: Mapping[str, frozenset[int]], threshold: float
) -> str:
    own = mails[key]
    for other in others:
        if 2 * len(own & mails[other]) >= threshold * (len(own) + len(mails[other])):
            return other
    return key


def _telling(found: frozenset[int], places: Counter[int], threshold: float) -> list[int]:
    """So many of the rarest shingles that every near mail has one of them among its own.

    A near mail shares at least ``threshold / (2 - threshold)`` of them, so it can miss only the
    rest (prefix filtering: Chaudhuri, Ganti and Kaushik 2006). Footers that everybody has are no
    part of it: without that, 5,000 mails of one list would be compared pair by pair.
    """
    least = math.ceil(threshold / (2 - threshold) * len(found) - 1e-9)
    rarest = sorted(found, key=lambda shingle: (places[shingle], shingle))
    return rarest[: len(found) - least + 1]

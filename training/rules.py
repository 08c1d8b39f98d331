"""What every mail of the corpus has to keep to, and no two mails may have in common.

Each function returns its findings as data; none changes a mail. The order of the mails is the
order of the findings, so that two runs say the same.
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import SequenceMatcher
from itertools import combinations

from milter.mail import charset, header, mime
from milter.mail.text import unencoded
from training.plan import Mail

# Words of a shingle. Phrases that everybody writes are shorter ("thank you for your time and
# consideration"); eight words in a row are copied or a fixed formula.
SHINGLE = 8
# The share of the smaller mail's shingles that another may have too: a formula at its top and one
# at its end reach a tenth.
MAX_COMMON = 0.2
# A mail with fewer shingles is compared as a whole: one formula would be a fifth of it.
FEW_SHINGLES = 12
# The share of words, in their order, that two such mails may have in common.
MAX_SIMILAR = 0.8

_WORD = re.compile(r"\w+")

REQUIRED = ("From", "To", "Subject", "Date", "Message-ID")
# These name the sender's program and its makers, not the sender.
_PROGRAMS = frozenset({b"x-mailer", b"user-agent"})

# Names that can never be anybody's: RFC 2606 and RFC 6761.
_RESERVED = re.compile(r"(?:^|\.)(?:example|example\.(?:com|net|org)|test|invalid)$")
_HOST = r"([\w-]+(?:\.[\w-]+)*)"
_LINK = re.compile(
    rf"(?:\b(?:https?|ftp):|[\"'=])//{_HOST}|\b(www\.[\w-]+(?:\.[\w-]+)*)", re.IGNORECASE
)
_ADDRESS = re.compile(r"[\w.+%-]@([\w-]+(?:\.[\w-]+)+)")
# Clients make links of these without being told to. By ending, as "z.B." is no name of a host.
_BARE = re.compile(
    r"(?<![\w@./-])((?:[\w-]+\.)+(?:com|net|org|info|io|eu|de|at|ch|uk|fr|es|it|nl|pl))"
    r"(?![\w@-]|\.\w)",
    re.IGNORECASE,
)
# Addresses in HTML that no reader can follow: they name a grammar, or a part of the same mail.
_NO_LINK = re.compile(r"<!DOCTYPE[^>]*>|xmlns[\w:]*=\"[^\"]*\"|cid:[^\s\"'>]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Copies:
    """Two mails that are too much alike; ``common`` is the share of the smaller one."""

    one: str
    other: str
    common: float

    def __str__(self) -> str:
        return f"{self.one} and {self.other} have {self.common:.0%} in common"


def own_words(mail: Mail) -> list[str]:
    """The words that the sender wrote, lower case: all but what is quoted or hidden."""
    return _WORD.findall(f"{mail.text.body}\n{mail.text.signature}".lower())


def near_copies(mails: Sequence[Mail]) -> list[Copies]:
    """Pairs of mails that have more in common than two mails of two people have."""
    words = [own_words(mail) for mail in mails]
    shingles = [_shingles(own) for own in words]
    small = [at for at, found in enumerate(shingles) if len(found) < FEW_SHINGLES]
    for at in small:
        shingles[at] = set()
    found = [*_sharing(shingles), *_similar([(at, words[at]) for at in small])]
    name = [mail.example.name for mail in mails]
    return [Copies(name[one], name[other], common) for one, other, common in sorted(found)]


def _shingles(words: list[str]) -> set[int]:
    """Hashes of all runs of eight words: 64 bits do not collide among a million."""
    return {hash(tuple(words[at : at + SHINGLE])) for at in range(len(words) - SHINGLE + 1)}


def _sharing(shingles: list[set[int]]) -> Iterator[tuple[int, int, float]]:
    """By an index from shingle to mails: only pairs that share something are ever looked at."""
    where: defaultdict[int, list[int]] = defaultdict(list)
    for at, found in enumerate(shingles):
        for shingle in found:
            where[shingle].append(at)
    shared = Counter(pair for places in where.values() for pair in combinations(places, 2))
    for (one, other), count in shared.items():
        common = count / min(len(shingles[one]), len(shingles[other]))
        if common > MAX_COMMON:
            yield one, other, common


def _similar(small: list[tuple[int, list[str]]]) -> Iterator[tuple[int, int, float]]:
    """Pair by pair: few mails are that short, and lengths rule most pairs out."""
    for (one, words), (other, more) in combinations(small, 2):
        matcher = SequenceMatcher(None, words, more, autojunk=False)
        if matcher.real_quick_ratio() > MAX_SIMILAR and matcher.quick_ratio() > MAX_SIMILAR:
            common = matcher.ratio()
            if common > MAX_SIMILAR:
                yield one, other, common


def foreign_domains(mail: Mail) -> list[str]:
    """Domains of senders, addresses and links that could be somebody's: none may be."""
    content = mail.example.content
    fields = header.fields(content[: header.end_of_header(content)])
    texts = [unencoded(value) for name, value in fields if name not in _PROGRAMS]
    texts += [charset.decode(part.octets, part.charset) for part in mime.text_parts(content)]
    text = html.unescape(_NO_LINK.sub(" ", "\n".join(texts)))
    found = {(linked or written).lower() for linked, written in _LINK.findall(text)}
    found |= {host.lower() for host in _ADDRESS.findall(text)}
    read = f"{mail.text.subject}\n{mail.text.body}\n{mail.text.signature}\n{mail.text.quoted}"
    found |= {host.lower() for host in _BARE.findall(read)}
    return sorted(host for host in found if not _RESERVED.search(host))


def faults(mail: Mail, newest: date) -> Iterator[str]:
    """What is wrong with one mail, a sentence each; ``newest`` is the last day that it may have."""
    content = mail.example.content
    there = {name for name, _ in header.fields(content[: header.end_of_header(content)])}
    for name in REQUIRED:
        if name.lower().encode("ascii") not in there:
            yield f"no {name}"
    day = mail.example.day
    if day is None:
        yield "its Date cannot be read"
    elif day > newest:
        yield f"dated {day}, later than {newest}"
    if not mail.text.readable or not own_words(mail):
        yield "no text that can be read"
    for host in foreign_domains(mail):
        yield f"{host} is not a reserved domain"


def all_faults(mails: Sequence[Mail], newest: date) -> list[str]:
    """The findings of every rule here, each with the mails that it is about."""
    single = [f"{mail.example.name}: {fault}" for mail in mails for fault in faults(mail, newest)]
    return [*single, *map(str, near_copies(mails))]

"""The tokenizer: from a mail's text to words. The only one, for learning and for judging.

What a word is decides what a model means, so a model bundle carries ``VERSION`` and is refused
where it differs. Addresses, links, sums and numbers are reduced to their kind: a model must
learn how pitches are made, not who sent one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from milter.mail.text import MailText
from milter.spam.apart import together
from milter.spam.fold import Plain, in_latin, notes, plain
from milter.spam.memory import Memory

#: Raise this with every change that gives any mail other tokens.
VERSION = 4

#: Words of each stream that are read: a pitch says what it wants on the first page.
MAX_WORDS = 250
# Characters and chunks (what stands between blanks) of a stream that are looked at for them.
_MAX_TEXT = 8000
_MAX_CHUNKS = 500
# Letters in a row, each a word of its own, that are one word set apart.
_RUN = 4
# Words of look-alikes alone that are a disguise even where no word mixes scripts.
_LOOKALIKES = 3

# Kinds, in the order in which they are looked for. Each pattern can only start where a run of its
# characters starts, so that a long run is read once, not once for each of its characters.
_KINDS = (
    (re.compile(r"(?:https?://|(?<![\w.])www\.)[^\s<>\"]*"), " _url_ "),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), " _address_ "),
    # A host's name alone: labels, the last one a top-level domain that is in use.
    (
        re.compile(
            r"(?<![\w.@-])(?:[a-z0-9][\w-]{1,62}\.){1,4}"
            r"(?:com|org|net|info|biz|example|app|dev|io|ai|blog|shop|online|site|xyz|club|[a-z]{2})"
            r"(?![\w@-])(?:/[^\s<>\"]*)?"
        ),
        " _url_ ",
    ),
    (
        re.compile(
            r"(?<![\w.,'])(?:us\$|[€$£]|eur\b|usd\b|gbp\b|chf\b)\s?\d[\d.,']*+-?"
            r"|(?<![\w.,'])\d[\d.,']*+-?\s?(?:€|\$|£|eur\b|euros?\b|usd\b|(?:us-)?dollars?\b|gbp\b|pounds?\b|chf\b|franken\b)"
        ),
        " _money_ ",
    ),
    (re.compile(r"(?<![\w.,])\d[\d.,]*+\s?(?:%|prozent\b|percent\b)"), " _percent_ "),
    (
        re.compile(
            r"(?<![\w.:/])(?:\d{4}-\d\d-\d\d\b|\d{1,2}/\d{1,2}/\d{2,4}\b|20\d\d\b(?!-\d)|\d{1,2}\.\d{1,2}\.(?:\d{2,4}\b)?)"
        ),
        " _date_ ",
    ),
    (re.compile(r"(?<![\w.,])\d[\d.,:'/-]*+"), " _number_ "),
)
# What mailing lists put in front of subjects: "Re: [garden-talk] Roses".
_TAG = re.compile(r"^((?:\s*(?:re|aw|fwd?|wg)\s*:)*)\s*\[[^\]\n]{2,40}\]", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"_[a-z]+_|[^\W\d_]+(?:'[^\W\d_]+)*|[€$£%]")
# Sums and shares whose two halves stand apart: "500 EUR", "EUR 500", "5 %".
_SIGNS = frozenset("€$£%")
_CURRENCIES = frozenset(
    "€ $ £ eur euro euros usd dollar dollars gbp pound pounds chf franken".split()
)
_PERCENT = frozenset("% percent prozent".split())
_FIGURES = frozenset({"_number_", "_date_"})
_HALVES = _CURRENCIES | _PERCENT
_SPECIAL = _FIGURES | _HALVES | _SIGNS


@dataclass(frozen=True, slots=True)
class Tokens:
    """Words by stream, in order.

    ``notes``: what the sender disguised. ``sender``: who gets the answer (``mail.sites``).
    ``longer``: whether the body goes on beyond the words that are read.
    """

    subject: list[str]
    body: list[str]
    quoted: list[str]
    notes: list[str]
    signature: list[str] = field(default_factory=list)
    longer: bool = False
    sender: str = ""

    @property
    def count(self) -> int:
        """Words of the mail's own that there are to go on."""
        return len(self.subject) + len(self.body)


def tokenize(mail: MailText) -> Tokens:
    """The tokens of a mail."""
    subject, told, _ = _read(_TAG.sub(r"\1 _tag_ ", mail.subject))
    body, more, longer = _read(mail.body)
    told += more
    if len(mail.hidden) > 200:  # a preview line for the inbox is usual, a page of it is not
        told.append("hidden")
    names = dict.fromkeys(mail.own_sites, "_oursite_")
    names |= dict.fromkeys(mail.their_sites, "_yoursite_")
    return Tokens(
        _named(subject, names),
        _named(body, names),
        _read(mail.quoted)[0],
        sorted(set(told)),
        _read(mail.signature)[0],
        longer,
        mail.sender,
    )


def words(text: str) -> list[str]:
    """The words of a text, kinds of things in their places."""
    return _read(text)[0]


def _read(text: str) -> tuple[list[str], list[str], bool]:
    """The first words of a text, notes of what is disguised in it, and whether it goes on."""
    chunks = text[:_MAX_TEXT].split(maxsplit=_MAX_CHUNKS)
    longer = len(chunks) > _MAX_CHUNKS or len(text) > _MAX_TEXT
    del chunks[_MAX_CHUNKS:]
    found = list(chain.from_iterable(map(_chunks.__getitem__, chunks)))
    odd = [] if text.isascii() or _ODD not in found else _odd_ones(chunks)
    homoglyphs = _disguised(odd)
    if odd:
        found = [in_latin(word) if homoglyphs else word for word in found if word != _ODD]
    spaced = _set_apart(found)
    if spaced:
        whole = plain(text[:_MAX_TEXT]).text
        joined = together(in_latin(whole) if homoglyphs else whole)
        spaced = joined != whole
        found = [word for chunk in joined.split() for word in _words(chunk)]
    found = _joined(found)
    invisible = sum(chunk.invisible for chunk in odd)
    longer = longer or len(found) > MAX_WORDS
    return found[:MAX_WORDS], notes(invisible, homoglyphs, spaced), longer


# Such as makes no kind of a word that stands beside it.
_PUNCTUATION = '.,;:!?()"'
_ENDS_URL = re.compile(r"[<>\"]")
# Stands behind the words of a chunk, which is what is between two blanks, that has something of a
# disguise. It is no word, and found in all of a mail's words at once.
_ODD = ""


def _chunk(text: str) -> tuple[str, ...]:
    """The words of a chunk, and ``_ODD`` where it is."""
    word = text.strip(_PUNCTUATION).lower()
    if word.isascii() and word.isalpha() and word != "www":  # what most new ones are
        return (sys.intern(word),)
    if text.startswith(("https://", "http://")) and text.isascii() and not _ENDS_URL.search(text):
        return ("_url_",)
    seen = plain(text)
    # One word often is several chunks (with a comma, in capitals): they share it.
    found = map(sys.intern, _words(seen.text))
    return (*found, _ODD) if _is_odd(seen) else tuple(found)


_chunks = Memory(_chunk)
_plain = Memory(plain)


def _is_odd(seen: Plain) -> bool:
    return bool(seen.invisible or seen.homoglyphs or seen.lookalikes or seen.foreign)


def _odd_ones(chunks: Sequence[str]) -> list[Plain]:
    seen = [_plain[chunk] for chunk in chunks if not chunk.isascii()]
    return [chunk for chunk in seen if _is_odd(chunk)]


def _disguised(odd: list[Plain]) -> bool:
    """Whether letters of other scripts stand for Latin ones.

    A word that mixes scripts shows it, and so do several words of nothing but look-alikes where no
    word is written in another script in earnest.
    """
    if any(chunk.homoglyphs for chunk in odd):
        return True
    lookalikes = sum(chunk.lookalikes for chunk in odd)
    return lookalikes >= _LOOKALIKES and not any(chunk.foreign for chunk in odd)


def _words(chunk: str) -> list[str]:
    """The words of a chunk of folded text."""
    if "://" in chunk or "www." in chunk:
        chunk = _KINDS[0][0].sub(_KINDS[0][1], chunk)
    if "@" in chunk:
        chunk = _KINDS[1][0].sub(_KINDS[1][1], chunk)
    if "." in chunk:
        chunk = _KINDS[2][0].sub(_KINDS[2][1], chunk)
    if _DIGIT.search(chunk):
        for pattern, kind in _KINDS[3:]:
            chunk = pattern.sub(kind, chunk)
    return _WORD.findall(chunk)


def _set_apart(found: list[str]) -> bool:
    """Whether there is a word whose letters stand apart: a run of words of one letter."""
    single = [at for at in _places(1, [*map(len, found)]) if found[at].isalpha()]
    return any(
        last - first == _RUN - 1 for first, last in zip(single, single[_RUN - 1 :], strict=False)
    )


def _joined(found: list[str]) -> list[str]:
    """The words with sums and shares whose halves stand apart made one, and no signs alone."""
    special = _SPECIAL.intersection(found)
    if not special.isdisjoint(_FIGURES) and not special.isdisjoint(_HALVES):
        found = _with_sums(found, special & _HALVES)
    if not special.isdisjoint(_SIGNS):
        found = [word for word in found if word not in _SIGNS]
    return found


def _with_sums(found: list[str], halves: Iterable[str]) -> list[str]:
    """The words with each of ``halves`` and the figure before or else behind it made one."""
    joined, gone = list(found), [-1]
    for at in sorted(place for half in halves for place in _places(half, found)):
        if at - 1 > gone[-1] and found[at - 1] in _FIGURES:
            joined[at - 1] = "_percent_" if found[at] in _PERCENT else "_money_"
            gone.append(at)
        elif found[at] in _CURRENCIES and found[at + 1 : at + 2] and found[at + 1] in _FIGURES:
            joined[at] = "_money_"
            gone.append(at + 1)
    for at in reversed(gone[1:]):
        del joined[at]
    return joined


def _places(value: object, values: list[Any]) -> Iterator[int]:
    """Where a value stands; for few among many quicker than looking at each."""
    at = -1
    for _ in range(values.count(value)):
        at = values.index(value, at + 1)
        yield at


def _named(found: list[str], names: dict[str, str]) -> list[str]:
    """The words, with the kind of name in the place of each name of a party's own site."""
    if names.keys().isdisjoint(found):
        return found
    return [names.get(word, word) for word in found]

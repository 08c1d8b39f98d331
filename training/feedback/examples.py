"""Corrections as examples: their language, and who is whose sibling."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime

from milter.mail.sites import site
from milter.mail.text import read_text
from training.data import FEEDBACK, Example
from training.feedback.candidate import belongs, parties
from training.feedback.mails import FeedbackMail

#: The language of a mail that tells none.
UNKNOWN = "--"
# The commonest little words of each language, without those that others have as well.
_LITTLE_WORDS = {
    "de": "und der das ist nicht für mit ich sie wir auf ein eine den dem zu von auch sich bei",
    "en": "the and of to is you for that this with your our have are it be we on would",
    "es": "el los las una para que con por su nuestro está como más usted pero sobre muy",
    "fr": "le les des est une vous pour nous avec votre que dans sur pas être cette notre",
    "it": "il di che per una con non sono della nel gli questo vostro nostro più anche",
    "nl": "het een van en voor niet zijn met wij ik dat uw onze aan ook deze op te",
    "pl": "nie się jest na że do dla jak czy oraz przez pan nasz ich ale być są",
}
_KNOWN = {name: frozenset(words.split()) for name, words in _LITTLE_WORDS.items()}
# Little words that a guess needs, and how many times as many as the next language has.
_LEAST, _CLEARLY = 3, 1.3
_WORD = re.compile(r"[^\W\d_]+")
# What replies and forwards put before a subject.
_PREFIX = re.compile(r"^(?:(?:re|aw|wg|fwd?|sv|antw)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
# Words of a subject that two mails must have in common to be siblings; "Hello" makes none.
_STEM = 3


def as_examples(mails: Sequence[FeedbackMail], shared_domains: tuple[str, ...]) -> list[Example]:
    """One example a mail, in the order of their keys, whatever the order they come in.

    ``shared_domains``: those of mail providers, where one sender is not the sibling of the next.
    """
    ordered = sorted(mails, key=lambda mail: mail.key)
    languages, marks = [], []
    for mail in ordered:
        content = mail.content
        text = read_text(content)
        languages.append(language(f"{text.subject}\n{text.body}"))
        marks.append(_marks(content, text.subject, shared_domains))
    return [
        Example(
            name=f"{FEEDBACK}{mail.label}/{mail.key}",
            label=mail.label,
            language=spoken,
            group=f"{FEEDBACK}{ordered[first].key}",
            octets=mail.octets,
            latest=_day(mail.moved),
        )
        for mail, spoken, first in zip(ordered, languages, _clusters(marks), strict=True)
    ]


def language(text: str) -> str:
    """The language that most little words of a text belong to, or ``UNKNOWN``."""
    words = Counter(_WORD.findall(text.lower()))
    counts = {name: sum(words[word] for word in known) for name, known in _KNOWN.items()}
    (first, most), (_, next_) = Counter(counts).most_common(2)
    return first if most >= _LEAST and most >= _CLEARLY * next_ else UNKNOWN


def _day(moved: float) -> date:
    """The day of a file's time; one that no calendar has is the oldest of all."""
    try:
        return datetime.fromtimestamp(moved, UTC).date()
    except (ValueError, OverflowError, OSError):
        return date(1970, 1, 1)


def _marks(content: bytes, subject: str, shared: tuple[str, ...]) -> list[object]:
    """What the siblings of a mail have as well: the sender's site, the stem of the subject."""
    who = parties(content)
    sender = who.sender if belongs(who.sender, shared) else site(who.domain)
    stem = tuple(_WORD.findall(_PREFIX.sub("", subject.strip()).lower()))
    return ([sender] if sender else []) + ([stem] if len(stem) >= _STEM else [])


def _clusters(marks: list[list[object]]) -> list[int]:
    """For each mail the first one that it is connected with by marks, over others if need be."""
    parent = list(range(len(marks)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    owner: dict[object, int] = {}
    for number, own in enumerate(marks):
        for mark in own:
            one, other = root(number), root(owner.setdefault(mark, number))
            parent[max(one, other)] = min(one, other)
    return [root(number) for number in range(len(marks))]

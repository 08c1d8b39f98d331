"""The tokenizer: from a mail's text to words. The only one, for learning and for judging.

What a word is decides what a model means, so a model bundle carries ``VERSION`` and is refused
where it differs. Addresses, links, sums and numbers are reduced to their kind: a model must
learn how pitches are made, not who sent one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from milter.mail.text import MailText
from milter.spam.fold import fold

#: Raise this with every change that gives any mail other tokens.
VERSION = 1

#: Words of each stream that are read: the first page of a mail decides.
MAX_WORDS = 2000

# Kinds, in the order in which they are looked for. Each pattern can only start where a run of its
# characters starts, so that a long run is read once, not once for each of its characters.
_KINDS = (
    (re.compile(r"(?:https?://|(?<![\w.])www\.)[^\s<>\"]*"), " _url_ "),
    (re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), " _address_ "),
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
    (re.compile(r"(?<![\w.,])\d[\d.,:/-]*+"), " _number_ "),
)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"_[a-z]+_|[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Words by stream, in order, and notes of what the sender disguised."""

    subject: list[str]
    body: list[str]
    quoted: list[str]
    notes: list[str]

    @property
    def count(self) -> int:
        """Words of the mail's own that there are to go on."""
        return len(self.subject) + len(self.body)


def words(text: str) -> list[str]:
    """The words of folded text, kinds of things in their places."""
    if "://" in text or "www." in text:
        text = _KINDS[0][0].sub(_KINDS[0][1], text)
    if "@" in text:
        text = _KINDS[1][0].sub(_KINDS[1][1], text)
    if _DIGIT.search(text):
        for pattern, kind in _KINDS[2:]:
            text = pattern.sub(kind, text)
    found = _WORD.findall(text)
    return found if len(found) <= MAX_WORDS else found[:MAX_WORDS]


def tokenize(mail: MailText) -> Tokens:
    """The tokens of a mail."""
    subject, notes = fold(mail.subject)
    body, more = fold(mail.body)
    notes += more
    if len(mail.hidden) > 200:  # a preview line for the inbox is usual, a page of it is not
        notes.append("hidden")
    quoted = words(fold(mail.quoted)[0]) if mail.quoted else []
    return Tokens(words(subject), words(body), quoted, sorted(set(notes)))

"""The letter that tells a recipient what was held. Pure: what was held in, octets of a mail out.

It is in German and English: nothing is known of a recipient's language, and both are short. All
that comes from the held mails is text of strangers: it is shortened, loses what would change the
direction or the lines of text, and is no link.
"""

from __future__ import annotations

import base64
import re
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import Header
from email.utils import formatdate
from html import escape

# Characters of a subject and of a sender that are shown.
_SUBJECT, _AUTHOR = 100, 80
# Marks that may stand on one letter; more are made to run over other lines.
_MARKS = 2
# What mail programs make a link of: a scheme, or a name with a dot that is no mail address.
_SCHEME = re.compile(r":(?=//)")
_HOST = re.compile(r"(?<![\w@.-])(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,63}(?![\w.-]*@)")


@dataclass(frozen=True, slots=True)
class Entry:
    """A held mail as the letter shows it: ``time`` (Unix) of its arrival, and how to release it."""

    time: float
    author: str
    subject: str
    verdict: str
    score: float | None
    link: str


@dataclass(frozen=True, slots=True)
class Letter:
    """A digest. ``recipient`` and ``sender`` are addresses that can stand in a header field;
    ``more``: mails beyond ``entries``; ``page``: where all are; days that links and mails last."""

    recipient: str
    sender: str
    entries: Sequence[Entry]
    more: int
    page: str
    link_days: int
    kept_days: int

    @property
    def count(self) -> int:
        return len(self.entries) + self.more


def compose(letter: Letter, now: float, unique: str) -> bytes:
    """The mail, lines in CRLF; ``unique``: letters and digits that no other mail has.

    ``Auto-Submitted`` keeps programs from answering it (RFC 3834 section 5).
    """
    boundary = f"=_{unique}"
    head = [
        f"From: coop-verdict <{letter.sender}>",
        f"To: <{letter.recipient}>",
        f"Subject: {_subject(letter.count)}",
        f"Date: {formatdate(now, localtime=True)}",
        f"Message-ID: <{unique}@{letter.sender.rpartition('@')[2]}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{boundary}"',
        "",
    ]
    parts = [("plain", "\n".join(_text(letter)) + "\n"), ("html", _html(letter))]
    lines = [line for kind, text in parts for line in _part(kind, text, boundary)]
    return "\r\n".join([*head, *lines, f"--{boundary}--", ""]).encode("utf-8")


def _subject(count: int) -> str:
    told = f"{count} Mails zurückgehalten / {count} mails held back"
    if count == 1:
        told = "1 Mail zurückgehalten / 1 mail held back"
    return Header(told, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _part(kind: str, text: str, boundary: str) -> Iterator[str]:
    yield f"--{boundary}"
    yield f"Content-Type: text/{kind}; charset=utf-8"
    yield "Content-Transfer-Encoding: base64"  # links are longer than a line should be
    yield ""
    octets = text.replace("\n", "\r\n").encode("utf-8")
    yield from base64.encodebytes(octets).decode("ascii").splitlines()


def _sentences(letter: Letter) -> tuple[list[str], list[str]]:
    """What stands before and behind the list."""
    before = [
        "Diese Mails an Sie hält der Filter für unechte Kooperationsanfragen und hat sie "
        "zurückgehalten. Der Link unter einer Mail führt zu einer Seite, auf der Sie sie sich "
        "zustellen lassen können.",
        "The filter takes these mails to you for fake cooperation proposals and has held them "
        "back. The link below a mail leads to a page where you can have it delivered.",
    ]
    behind = [
        f"Die Links gelten {letter.link_days} Tage; nach {letter.kept_days} Tagen wird eine "
        "zurückgehaltene Mail gelöscht. Wer den Link hat, kann die Mail freigeben: Leiten Sie "
        "diese Nachricht nicht weiter.",
        f"The links hold for {letter.link_days} days; after {letter.kept_days} days a held mail is "
        "deleted. Whoever has a link can release its mail: do not forward this message.",
    ]
    return before, behind


def _more(letter: Letter) -> str:
    count = f"... und {letter.more} weitere / and {letter.more} more: " if letter.more else ""
    return f"{count or 'Alle / all: '}{letter.page}"


def _text(letter: Letter) -> Iterator[str]:
    before, behind = _sentences(letter)
    for sentence in before:
        yield from (sentence, "")
    for entry in letter.entries:
        yield f"{_when(entry)}  {shown(entry.author, _AUTHOR)}"
        yield f"  {_title(entry)}"
        yield f"  {_verdict(entry)}"
        yield f"  {entry.link}"
        yield ""
    yield from (_more(letter), "")
    for sentence in behind:
        yield from (sentence, "")


def _html(letter: Letter) -> str:
    before, behind = _sentences(letter)
    entries = "".join(_html_entry(entry) for entry in letter.entries)
    more = f'<a href="{escape(letter.page)}">{escape(_more(letter))}</a>'
    lines = [f"<p>{escape(sentence)}</p>" for sentence in before]
    lines += [f"<ul>{entries}</ul>", f"<p>{more}</p>"]
    lines += [f"<p>{escape(sentence)}</p>" for sentence in behind]
    top = '<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>'
    return "\n".join([top, *lines, "</body></html>", ""])


def _html_entry(entry: Entry) -> str:
    return (
        f"<li><p>{_when(entry)} <bdi>{escape(shown(entry.author, _AUTHOR))}</bdi><br>\n"
        f"<b><bdi>{escape(_title(entry))}</bdi></b><br>\n"
        f"{escape(_verdict(entry))}<br>\n"
        f'<a href="{escape(entry.link)}">Zustellen ... / Deliver ...</a></p></li>\n'
    )


def _when(entry: Entry) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.time))


def _title(entry: Entry) -> str:
    return shown(entry.subject, _SUBJECT) or "(ohne Betreff / no subject)"


def _verdict(entry: Entry) -> str:
    score = "" if entry.score is None else f", score {entry.score:.2f}"
    return f"{entry.verdict}{score}"


def shown(text: str, most: int) -> str:
    """Text of a stranger on one line of at most ``most`` characters, with nothing that acts."""
    text = text[: 20 * most]  # the rest of a megabyte is not looked at
    kept: list[str] = []
    marks = 0
    for character in text:
        kind = unicodedata.category(character)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if kind in ("Cc", "Zl", "Zp"):
            kept.append(" ")
        elif kind not in ("Cf", "Cs", "Co", "Cn") and marks <= _MARKS:
            kept.append(character)
    line = _without_links(" ".join("".join(kept).split()))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _without_links(line: str) -> str:
    """``example.org`` becomes ``example[.]org``: a stranger's link would look like one of ours."""
    line = _SCHEME.sub("[:]", line)
    return _HOST.sub(lambda match: match[0].replace(".", "[.]"), line)

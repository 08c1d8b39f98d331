"""The header as octets: found, read, and edited without touching anything else.

Content is what ``milter.smtp.data`` makes: lines that end in CRLF, no other CR or LF. The header
ends at the first empty line (RFC 5322 section 2.1), or with the content where there is none.
Python's ``email`` is not used: it writes a header anew when it edits one, which breaks DKIM.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

#: The header fields that are ours. Whatever comes in under these names is forged or stale.
VERDICT = b"X-Coop-Verdict"
CLUES = b"X-Coop-Clues"

# Octets of a header whose fields are kept until those of another one are asked for.
_USUAL = 16384
# In every spelling that some server or client takes for the field: any case, blanks (folded ones
# too) before the colon, and the folded lines that belong to it.
_OURS = re.compile(
    rb"^X-Coop-(?:Verdict|Clues)(?:[ \t\v\f]|\r\n[ \t])*+:[^\n]*\n(?:[ \t][^\n]*\n)*+",
    re.IGNORECASE | re.MULTILINE,
)
# mbox's separator line, which some programs leave on top of the header. Postfix looks for it (and
# for any number of them) only at the very top, so our fields go below.
_FROM_LINE = re.compile(rb"(?:>*From [^\n]*\n)++")
_RECEIVED = re.compile(rb"^Received[ \t]*:", re.IGNORECASE | re.MULTILINE)
_SUBJECT = re.compile(
    rb"^(Subject[ \t]*:)([^\n]*\n(?:[ \t][^\n]*\n)*+)", re.IGNORECASE | re.MULTILINE
)
# A whole header: fields, each with its folded lines.
_HEADER = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*+)*+")
# One field: name, then the value with its folded lines.
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:([^\n]*\n(?:[ \t][^\n]*\n)*+)", re.MULTILINE)


def end_of_header(content: bytes) -> int:
    """The offset behind the header's last line: of the empty line, or of the content's end."""
    if content.startswith(b"\r\n"):
        return 0
    end = content.find(b"\r\n\r\n")
    return end + 2 if end >= 0 else len(content)


def body_range(content: bytes, start: int, end: int) -> tuple[int, int]:
    """Where the header of the entity between ``start`` and ``end`` ends, and where its body begins.

    As for Postfix, the first line that is no field ends the header, empty or not: a mail that lost
    the empty line has a body all the same.
    """
    top = _FROM_LINE.match(content, start, end)
    header = _HEADER.match(content, top.end() if top else start, end)
    head_end = header.end() if header else start
    if content.startswith(b"\r\n", head_end, end):
        return head_end, head_end + 2
    return head_end, head_end


def hops(content: bytes) -> int:
    """How many servers the mail has passed: its Received fields (RFC 5321 section 6.3)."""
    return len(_RECEIVED.findall(content[: end_of_header(content)]))


def without_ours(content: bytes) -> bytes:
    """``content`` without any field of ours in its header; the same object if there is none."""
    end = end_of_header(content)
    header = content[:end]
    cleaned = _OURS.sub(b"", header)
    return content if len(cleaned) == end else cleaned + content[end:]


def with_fields(content: bytes, fields: Sequence[bytes]) -> bytes:
    """``content`` with ``fields`` (whole, CRLF included) as the only ones of ours, on top.

    Every other octet stays. Where the content begins with a blank, it has no header, and a folded
    line must not become part of our field: then an empty line is put between, as Postfix does.
    """
    rest = without_ours(content)
    top = _FROM_LINE.match(rest)
    at = top.end() if top else 0
    separator = b"\r\n" if rest[at : at + 1] in (b" ", b"\t") else b""
    return b"".join([rest[:at], *fields, separator, rest[at:]])


def with_subject_prefix(content: bytes, prefix: bytes) -> bytes:
    """``content`` with ``prefix`` (ASCII, encoded where need be) as the subject's first line.

    What stood there follows as a folded line, octet for octet. A mail without a subject gets one;
    one whose subject begins with ``prefix`` already stays as it is.
    """
    end = end_of_header(content)
    subject = _SUBJECT.search(content, 0, end)
    if not subject:
        field = b"Subject: " + prefix + b"\r\n"
        top = _FROM_LINE.match(content)
        at = top.end() if top else 0
        return content[:at] + field + content[at:]
    if subject[2].lstrip(b" \t\r\n").startswith(prefix):
        return content
    old = subject[2]
    if prefix.endswith(b"?=") and old.lstrip().startswith(b"=?"):
        prefix += (
            b" =?utf-8?q?_?="  # RFC 2047 6.2: the blank between two encoded words is not shown
        )
    fold = b"" if old.startswith(b"\r\n") or old.isspace() else b"\r\n"
    blank = b"" if old[:1].isspace() else b" "
    at = subject.start(2)
    return content[:at] + b" " + prefix + fold + blank + content[at:]


def fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name in lower case and unfolded value of each field; lines that are no field are skipped."""
    return iter(_known_fields(header)) if len(header) <= _USUAL else _fields(header)


@lru_cache(maxsize=1)  # some five steps ask for the fields of one and the same mail
def _known_fields(header: bytes) -> Sequence[tuple[bytes, bytes]]:
    return [(name.lower(), _unfolded(value)) for name, value in _FIELD.findall(header)]


def _fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    for match in _FIELD.finditer(header):
        name, value = match.groups()
        yield name.lower(), _unfolded(value)


def _unfolded(value: bytes) -> bytes:
    return value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t")

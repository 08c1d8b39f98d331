"""Mails of an mbox file: read while nobody writes, and which of them are marked as deleted."""

from __future__ import annotations

import errno
import fcntl
import re
import time
from collections.abc import Iterator
from typing import BinaryIO

from milter.mail import header
from milter.mail.folder import SEPARATOR, as_content, split_mbox
from training.feedback.files import NotRead

# Seconds that a mail server may keep the file locked: writing one anew takes a moment.
_PATIENCE = 10.0
_PAUSE = 0.1
# Octets of a first line: a separator is shorter.
_FIRST_LINE = 1000
# What is written before a line of a mail that looks like a separator.
_QUOTED = re.compile(rb"^>(?=>*From )", re.MULTILINE)
# Thunderbird leaves a mail that was moved away in the file, with this bit.
_EXPUNGED = 0x0008
_HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")


def is_mbox(file: BinaryIO) -> bool:
    """Whether a file begins as an mbox does; what is read is put back."""
    first = file.readline(_FIRST_LINE)
    file.seek(0)
    return bool(SEPARATOR.match(first))


def mails(file: BinaryIO, most: int) -> Iterator[bytes]:
    """The octets of each mail; of one that has more than ``most`` the end is missing.

    Raises ``NotRead`` where somebody keeps the file locked.
    """
    _lock(file)
    file.readline(_FIRST_LINE)
    for octets in split_mbox(file, most + 1):
        yield _QUOTED.sub(b"", octets)


def _lock(file: BinaryIO) -> None:
    """Wait until no server writes the file (fcntl, as Postfix and Dovecot do by default)."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                return  # a file system without locks
            if time.monotonic() > end:
                raise NotRead("busy") from error
            time.sleep(_PAUSE)
        else:
            return


def is_deleted(octets: bytes) -> bool:
    """Whether a mail of an mbox is marked as deleted."""
    marks = _fields(octets)
    mozilla = _HEX.match(marks.get(b"x-mozilla-status", b""))
    if mozilla and int(mozilla[0], 16) & _EXPUNGED:
        return True
    return b"D" in marks.get(b"x-status", b"")


def is_internal(octets: bytes) -> bool:
    """Whether it is the server's own note on top of the file, no mail."""
    marks = _fields(octets)
    server = b"x-imap" in marks or b"x-imapbase" in marks
    return server and b"DON'T DELETE THIS MESSAGE" in marks.get(b"subject", b"")


def _fields(octets: bytes) -> dict[bytes, bytes]:
    content = as_content(octets[:65536])
    return dict(header.fields(content[: header.body_range(content, 0, len(content))[0]]))

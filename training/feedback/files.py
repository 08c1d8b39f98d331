"""Files of other people, opened with care: regular ones only, no links, no more than is wanted.

Who files a mail could put anything into the folder: a pipe that never ends, a link to a file of
somebody else. Both are told by ``NotRead``, and so is a file that is gone by now.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from milter.errors import CoopError
from training.feedback.mails import Reason

# O_NOFOLLOW and O_NONBLOCK: the file may be another one than when the folder was listed.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_REASONS: dict[int | None, Reason] = {
    errno.ENOENT: "vanished",
    errno.ENOTDIR: "vanished",
    errno.ESTALE: "vanished",
    errno.ELOOP: "not-a-file",
    errno.ENXIO: "not-a-file",
}


class NotRead(CoopError):
    """A file that is not read, and why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file to read from; raises ``NotRead``, for faults while it is read too."""
    try:
        with os.fdopen(os.open(path, _FLAGS), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise NotRead("not-a-file")
            yield file
    except OSError as error:
        raise NotRead(reason(error)) from error


def whole(file: BinaryIO, most: int) -> bytes:
    """A file's octets; raises ``NotRead`` where there are more than ``most``."""
    if os.fstat(file.fileno()).st_size > most:
        raise NotRead("too-large")
    octets = file.read(most + 1)
    if len(octets) > most:
        raise NotRead("too-large")
    return octets


def reason(error: OSError) -> Reason:
    """Why the system did not let us."""
    return _REASONS.get(error.errno, "no-access")


def shown(path: str | Path) -> str:
    """A path as text that can be printed and stored, whatever octets are in the name."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)

"""Mails in files: single ones, mbox files, Maildirs, folders of all of these, standard input.

One mail at a time is in memory, whatever the size of its file or folder.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Octets of one mail that are read: only text is looked at, and that stands far in front of this.
MAX_MAIL = 64 << 20

#: mbox's separator has a date behind the sender; a sentence that begins with "From " has none.
SEPARATOR = re.compile(rb"From [^\n]{0,200}?\d\d:\d\d[^\n]{0,30}?\b\d{4}\b|From - ")


@dataclass(frozen=True, slots=True)
class Found:
    """A mail in a file: where it stands, and its content (CRLF lines) or why it cannot be read."""

    source: str
    content: bytes
    fault: str = ""


def as_content(octets: bytes) -> bytes:
    """A file's octets as a mail's content: lines that end in CRLF, no other CR or LF, no NUL.

    In files LF is the line end as a rule; a bare CR and a NUL become blanks, as on the wire.
    """
    plain = octets.replace(b"\r\n", b"\n")
    if b"\r" in plain or b"\0" in plain:
        plain = plain.replace(b"\r", b" ").replace(b"\0", b" ")
    return plain.replace(b"\n", b"\r\n")


def read_all(paths: Iterable[str]) -> Iterator[Found]:
    """The mails of ``paths`` in order; ``-`` is standard input. A fault is a mail too."""
    for path in paths:
        if path == "-":
            yield from _read_stream(sys.stdin.buffer, "-", mbox_allowed=True)
        elif Path(path).is_dir():
            yield from _read_folder(Path(path))
        else:
            yield from _read_file(Path(path))


def _read_folder(folder: Path) -> Iterator[Found]:
    """All mails below a folder in the order of their names; of a Maildir, ``new`` and ``cur``."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(str(folder), b"", error.strerror or "cannot be read")
        return
    maildir = {"cur", "new"} <= {entry.name for entry in entries}
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not (maildir and entry.name == "tmp"):
                yield from _read_folder(Path(entry.path))
        elif entry.is_file() and not maildir:  # beside cur and new lie a server's index files
            yield from _read_file(Path(entry.path))


def _read_file(path: Path) -> Iterator[Found]:
    try:
        with path.open("rb") as file:
            yield from _read_stream(file, str(path), mbox_allowed=path.suffix != ".eml")
    except OSError as error:
        yield Found(str(path), b"", error.strerror or "cannot be read")


def _read_stream(stream: BinaryIO, source: str, mbox_allowed: bool) -> Iterator[Found]:
    first = stream.readline(MAX_MAIL)
    if mbox_allowed and SEPARATOR.match(first):
        for number, octets in enumerate(split_mbox(stream), 1):
            yield Found(f"{source}#{number}", as_content(octets))
    else:
        yield Found(source, as_content(first + stream.read(MAX_MAIL - len(first))))


def split_mbox(stream: BinaryIO, most: int = MAX_MAIL) -> Iterator[bytes]:
    """The mails behind each separator line; it counts at the start and behind an empty line.

    ``stream`` stands behind the first one. Of a mail some ``most`` octets are read, then its end is
    left out.
    """
    lines: list[bytes] = []
    size = 0
    after_empty = False
    while line := stream.readline(most):
        if after_empty and SEPARATOR.match(line):
            yield b"".join(lines)
            lines, size = [], 0
        elif size < most:
            lines.append(line)
            size += len(line)
        after_empty = line in (b"\n", b"\r\n")
    yield b"".join(lines)

"""Names on the disk: a recipient's folder, an item's id, a mail's file.

Recipients come from whoever sends mail, ids from whoever asks for a page. Neither becomes a part
of a path before it has been here.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from milter.maildir import unique_name

#: Beside mails, the folder of what belongs to them. It has no dot in front (Maildir++), so that
#: Dovecot does not take it for a mail folder.
HELD = "held"
#: The cache for listing and searching, and what SQLite lays beside it, begin like this.
INDEX = "index.sqlite"

_ID = re.compile(r"[0-9a-f]{16}")
# Mails that we have stored, whatever flags a mail client has added.
_FILE = re.compile(r"[0-9]+\.M[0-9]+P[0-9]+Q[0-9]+I([0-9a-f]{16})\.")
_UNSAFE = re.compile(rb"[^a-z0-9._@+-]|^\.|^index\.")
# Octets of a folder's name: under the 255 of most file systems, with room for a digest.
_LONGEST = 180


def new_id() -> str:
    """An id that nobody guesses: 64 random bits in hexadecimal."""
    return secrets.token_hex(8)


def is_id(text: str) -> bool:
    """Whether ``text`` may be an item's id, and so be part of a file's name."""
    return _ID.fullmatch(text) is not None


def folder_name(mailbox: str) -> str:
    """The folder of a recipient: the address itself where it is harmless, else percent-encoded.

    A name too long for a file system is cut, and told from others by a digest behind ``~``.
    """
    octets = mailbox.encode("utf-8", "backslashreplace")
    name = _UNSAFE.sub(_percent, octets).decode("ascii") or "%"
    if len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}~{blake2b(octets, digest_size=16).hexdigest()}"


def _percent(match: re.Match[bytes]) -> bytes:
    first, rest = match[0][:1], match[0][1:]
    return b"%%%02X" % ord(first) + rest


def file_name(item: str) -> str:
    """A new name for the mail of an item."""
    return unique_name(f"I{item}")


def record_path(maildir: Path, item: str) -> Path:
    """Where the record of an item lies; ``item`` must be an id."""
    assert is_id(item)
    return maildir / HELD / f"{item}.jsonl"


def item_of(name: str) -> str:
    """The id in the name of a mail's file; empty for a file that is not ours."""
    match = _FILE.match(name)
    return match[1] if match else ""


def find_mail(maildir: Path, name: str) -> Path | None:
    """The mail that was stored as ``name``: in ``new``, or in ``cur`` with flags; None if neither.

    A mail client renames files at any time. A name that changes while the folder is read may be
    missed, hence the second look.
    """
    if quick := quick_mail(maildir, name):
        return quick
    for _ in range(2):
        for entry in listed(maildir / "cur"):
            if entry.name.startswith(name):
                return Path(entry.path)
    return None


def quick_mail(maildir: Path, name: str) -> Path | None:
    """The same, found only if it has no flags or is just seen: without reading a folder."""
    guesses = (maildir / part for part in (f"new/{name}", f"cur/{name}:2,S", f"cur/{name}:2,"))
    return next((guess for guess in guesses if guess.exists()), None)


def listed(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in ``folder``; nothing where it is not there."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from entries

"""Keys in files: made once, read by all processes that share the folder, for their user only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from milter import durable

#: Octets of a key.
SIZE = 32


def existing(path: Path) -> bytes:
    """The key in ``path``, or nothing where there is none.

    Raises ``OSError``, and ``ValueError`` where the file holds no whole key.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return b""
    if len(key) != SIZE:
        raise ValueError(f"not a key of {SIZE} octets")
    return key


def make(path: Path) -> None:
    """Make a key; of two processes that make one, the first one's counts. Raises ``OSError``."""
    aside = durable.aside_of(path)
    try:
        durable.write(aside, [os.urandom(SIZE)])
        with suppress(FileExistsError):
            path.hardlink_to(aside)  # whole, or not there
    finally:
        aside.unlink(missing_ok=True)
    durable.fsync_folder(path.parent)

"""Files that a crash or a power cut leaves as they were or as they should be, never in between.

All of it raises ``OSError``.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

#: What is being written has this beginning, until it is whole and moved into place.
ASIDE = ".new-"


def replace(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Put ``octets`` into ``path`` in one step that no reader can see half done."""
    aside = aside_of(path)
    try:
        write(aside, [octets], mode)
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def aside_of(path: Path) -> Path:
    """A name in the same folder, of this caller alone, for what is to become ``path``."""
    return path.with_name(f"{ASIDE}{path.name}.{secrets.token_hex(4)}")


def write(path: Path, pieces: Iterable[bytes], mode: int = 0o600, group: int = -1) -> None:
    """Write a new file of ``pieces`` and fsync it; ``group`` is its group's id, -1 the usual one.

    After a fault, what was written by then stays for the caller to remove.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, mode)  # whatever the umask says
        file.writelines(pieces)
        file.flush()
        os.fsync(descriptor)


def fsync_folder(folder: Path) -> None:
    """Put the names in ``folder`` on disk; the files themselves are fsynced on their own."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Files that a crash or a power cut leaves as they were or as they should be, never in between."""

from __future__ import annotations

import os
from pathlib import Path

#: What is being written has this beginning, until it is whole and moved into place.
ASIDE = ".new-"


def replace_file(path: Path, octets: bytes, mode: int = 0o644) -> None:
    """Put ``octets`` into ``path`` in one step that no reader can see half done."""
    aside = path.with_name(f"{ASIDE}{path.name}")
    write_file(aside, octets, mode)
    aside.rename(path)
    sync_folder(path.parent)


def write_file(path: Path, octets: bytes, mode: int = 0o644) -> None:
    """Write a file, by default for all to read, and wait until it is on the disk."""
    with path.open("wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until what was created, renamed or removed in ``folder`` is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Small files that a crash leaves as they were or as they should be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from milter.maildir import fsync_folder


def replace(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """Put ``octets`` into ``path`` in one step, on disk on return. Raises ``OSError``."""
    descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        Path(aside).rename(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)

"""One writer at a time in a models folder: the second one is refused with a sentence."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from milter.errors import CoopError


class ModelsInUse(CoopError):
    """Another process writes into the models folder."""


# The folders that this process has locked: a retrain holds its lock over fit and publish.
_HELD: set[Path] = set()


@contextmanager
def writing(models: Path) -> Iterator[None]:
    """Hold the lock of a models folder (made if missing); within itself, it asks for nothing.

    It is flock(2) on ``.lock``: the kernel gives it back when its holder ends, however it ends, so
    there is never a stale one. Raises ``ModelsInUse`` where another process has it.
    """
    models.mkdir(parents=True, exist_ok=True)
    folder = models.resolve()
    if folder in _HELD:
        yield
        return
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _lock(descriptor, models)
        _HELD.add(folder)
        yield
    finally:
        _HELD.discard(folder)
        os.close(descriptor)


def _lock(descriptor: int, models: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise ModelsInUse(
            f"{models}: another coop-train (process {holder or 'unknown'}) is writing there; "
            "nothing was done, try again when it is through"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)

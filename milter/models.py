"""The model in use: opened and proved at start, and swapped between two mails.

Every second it is looked whether ``current`` names another bundle, or the bundle's files are
others; that takes microseconds and works on any file system. What is found is opened and proved in
a thread, so that no session waits for a disk, and then taken with one assignment. What is refused
is told in one loud line, once, and the model in use stays until the files change again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from milter.errors import BundleError
from milter.sections import Model
from milter.spam.bundle import Bundle, folder_of
from milter.spam.proof import open_proved_models

log = logging.getLogger(__name__)

# Seconds between two looks: a published model is in use within two of them.
_PERIOD = 1.0
# What tells a bundle from another: its name, and which files these are.
_Mark = tuple[str | tuple[int, int, int], ...]


class ModelInUse:
    """The model in use; asked for it before each mail, so that it can be swapped between two.

    Raises ``BundleError`` at start where no published model can be used.
    """

    def __init__(self, settings: Model) -> None:
        self._settings = settings
        self._seen = self._look()
        self._asked = asyncio.Event()
        self._bundle = self._first()

    def __call__(self) -> Bundle:
        return self._bundle

    def reload(self) -> None:
        """Open the bundle anew, whether it has changed or not (SIGHUP)."""
        self._asked.set()

    async def watch(self) -> None:
        """Keep up with what is published, until cancelled."""
        while True:
            asked = await self._asked_within(_PERIOD)
            if (found := self._look()) != self._seen or asked:
                self._seen = found  # before opening: what changes meanwhile is seen next time
                await self._take_over()

    async def _asked_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    def _first(self) -> Bundle:
        """The bundle to start with; where it is refused, the last published one that is sound.

        A bundle that a running filter would refuse must not stop mail because the machine was
        started anew meanwhile.
        """
        folder, version = self._settings.folder, self._settings.version
        try:
            return open_proved_models(folder, version)
        except BundleError as error:
            if version != "current" or not (older := _last_sound(folder)):
                raise
            log.error("the model is %s, of those published before: %s", older.version, error)
            return older

    async def _take_over(self) -> None:
        """Open and prove what is published now, and swap; refused, the model in use stays."""
        folder, version = self._settings.folder, self._settings.version
        try:
            self._bundle = await asyncio.to_thread(open_proved_models, folder, version)
        except BundleError as error:
            log.error("the model stays %s: %s", self._bundle.version, error)
        except Exception:  # whatever it is: the filter goes on, and goes on looking
            log.exception("the model stays %s", self._bundle.version)
        else:
            log.info("model %s in use", self._bundle.version)

    def _look(self) -> _Mark:
        """Which bundle is published, as far as can be told without opening it."""
        try:
            folder = folder_of(self._settings.folder, self._settings.version)
        except BundleError as error:
            return (str(error),)
        return folder.name, *(_file_mark(folder / name) for name in ("bundle.json", "weights.npz"))


def _file_mark(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _last_sound(models: Path) -> Bundle | None:
    """The bundle that was ``current`` last and can be used, by the file ``history``."""
    try:
        lines = (models / "history").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            return open_proved_models(models, line.partition(" ")[0])
        except BundleError:
            continue
    return None

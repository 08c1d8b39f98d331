"""What each recipient was told already: a file a recipient, so that nobody is told twice.

It is written after the next hop has taken the digest. A crash between the two sends it again the
next time; none is lost. A file that cannot be read counts as nothing told, for the same reason.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from milter import durable
from milter.errors import StartError
from milter.quarantine.names import folder_name

log = logging.getLogger(__name__)

#: The folder within [review] state.
FOLDER = "digests"


@dataclass(frozen=True, slots=True)
class Told:
    """``last``: Unix time of the last digest; ``items``: the ids of held mails that were in one."""

    last: float = 0.0
    items: frozenset[str] = frozenset()


class Memory:
    """What was told, below the folder ``state``."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    @contextmanager
    def alone(self) -> Iterator[None]:
        """For one process at a time, which may write. Raises ``StartError`` where another one is
        at it, or the folder cannot be used."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            if not _locked(folder):
                raise StartError("another coop-verdict digest is sending just now")
            yield
        finally:
            os.close(folder)

    def told(self, recipient: str) -> Told:
        """What ``recipient`` (a mailbox) was told."""
        path = self._path(recipient)
        try:
            kept = json.loads(path.read_bytes())
            return Told(float(kept["last"]), frozenset(str(item) for item in kept["items"]))
        except FileNotFoundError:
            return Told()
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            log.warning("%s cannot be read (%s): its recipient is told of all again", path, error)
            return Told()

    def remember(self, recipient: str, now: float, items: Iterable[str]) -> None:
        """Of the mails held now, ``items`` were told. Raises ``StartError``."""
        kept = json.dumps({"last": now, "items": sorted(items)})
        try:
            durable.replace(self._path(recipient), kept.encode("ascii"))
        except OSError as error:
            raise self._unusable(error) from error

    def _path(self, recipient: str) -> Path:
        return self._folder / f"{folder_name(recipient)}.json"

    def _unusable(self, error: OSError) -> StartError:
        return StartError(
            f"{self._folder}: {error.strerror}; what the digest has told cannot be kept there. "
            "Run it as the filter's user, with the filter's settings (--config)."
        )


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""What goes from the disk in time: records of mails that are no more, and leftovers of crashes."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from milter.errors import Busy
from milter.quarantine import names, scan
from milter.quarantine.item import State
from milter.quarantine.record import locked

log = logging.getLogger(__name__)

# Seconds after which a file in tmp is of nobody who still writes it (the Maildir's own rule).
_LEFTOVER = 36 * 3600.0


def note_gone(path: Path, by: str) -> None:
    """Put on record that a mail was found missing, so that its record goes in time as well."""
    try:
        with locked(path) as held:
            if held and held.record.state(held.record.mail() is not None) is State.GONE:
                held.append(State.GONE, by)
    except Busy:
        return  # somebody looks at it just now; it is found missing again
    except OSError as error:
        log.error("%s: %s", path, error.strerror)


def remove_records(paths: Iterable[Path]) -> None:
    """Remove the records of mails that came to their end long ago."""
    for path in paths:
        _remove(path)


def remove_leftovers(folder: Path, now: float) -> None:
    """Remove what a crash left between writing a mail and putting it in place.

    Nobody was ever told that we have it: its sender has sent it again, or was told that it failed.
    """
    for maildir in scan.maildirs(folder):
        for entry in scan.old_files(maildir / "tmp", now - _LEFTOVER):
            if item := names.item_of(entry.name):
                _remove(names.record_path(maildir, item))  # first: it must not outlive its mail
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.error("%s cannot be removed: %s", path, error.strerror)

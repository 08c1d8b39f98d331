"""A look at the files of some items: what the index says is checked before anybody sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from milter.quarantine import names, scan
from milter.quarantine.index import Place
from milter.quarantine.record import Record, read
from milter.quarantine.scan import Found


def look_at(folder: Path, places: Sequence[Place]) -> tuple[list[Found], list[str]]:
    """The items at ``places`` below ``folder`` in their order, and the ids of those without record.

    A file is where it was last seen, or in ``new``; only where one is not, its folder is read, and
    once for all that are missing.
    """
    mails = _Mails()
    found, lost = [], []
    for place in places:
        record = read(names.record_path(folder / place.folder, place.id))
        if record:
            found.append(scan.found(record, mails.of(record, place.file)))
        else:
            lost.append(place.id)
    return found, lost


class _Mails:
    """Finds mails; remembers the folders that it has read."""

    def __init__(self) -> None:
        self._read: dict[Path, dict[str, Path]] = {}

    def of(self, record: Record, file: str) -> Path | None:
        """The mail of ``record``, last seen in ``file``; None where it is not there."""
        if file and (seen := record.maildir / file).exists():
            return seen
        if quick := names.quick_mail(record.maildir, record.facts.name):
            return quick
        if record.maildir not in self._read:
            self._read[record.maildir] = scan.mails(record.maildir)
        return self._read[record.maildir].get(record.facts.id)

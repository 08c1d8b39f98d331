"""What really lies in the folders: the truth that the index is made from."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from milter.quarantine import names
from milter.quarantine.item import OPEN, Item, State
from milter.quarantine.record import Record, read

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Known:
    """What the index has of an item: the record's size in octets, the state, the mail's file."""

    size: int
    state: State
    file: str


@dataclass(frozen=True, slots=True)
class Found:
    """An item as the files have it: its record, and its mail, if that is there."""

    record: Record
    mail: Path | None

    @property
    def item(self) -> Item:
        """For lists and pages."""
        return self.record.item(self.mail is not None)

    @property
    def file(self) -> str:
        """The mail's file within the Maildir, empty where there is none."""
        return f"{self.mail.parent.name}/{self.mail.name}" if self.mail else ""


def found(record: Record, mail: Path | None) -> Found:
    """A ``record`` and the ``mail`` that was looked for after it was read.

    Where that is missing, the record is read once more: the mail may have been released between
    the two, and was not taken out.
    """
    if mail is None and record.last.state in OPEN:
        record = read(record.path) or record
    return Found(record, mail)


@dataclass(frozen=True, slots=True)
class Changes:
    """What the index lacks: items that are new or changed, and ids without a record."""

    found: list[Found]
    lost: list[str]


def maildirs(folder: Path) -> Iterator[Path]:
    """The recipients' Maildirs below ``folder``."""
    for entry in names.listed(folder):
        if entry.is_dir(follow_symlinks=False) and (Path(entry.path) / names.HELD).is_dir():
            yield Path(entry.path)


def mails(maildir: Path) -> dict[str, Path]:
    """The mails that are in place, by id; ``new`` first, for from there they go to ``cur``."""
    return {
        item: Path(entry.path)
        for part in ("new", "cur")
        for entry in names.listed(maildir / part)
        if (item := names.item_of(entry.name))
    }


def changes(maildir: Path, known: Mapping[str, Known]) -> Changes:
    """Where the files of ``maildir`` differ from what the index knows.

    Finishes, too, what was killed behind its last event: a mail that was released or deleted and
    is still there goes now.
    """
    records = dict(_records(maildir))
    waiting = {names.item_of(entry.name) for entry in names.listed(maildir / "tmp")}
    present = mails(maildir)
    changes = Changes([], [item for item in known if item not in records])
    for item, size in records.items():
        mail = present.get(item)
        if item in waiting or _same(known.get(item), size, mail):
            continue
        record = read(names.record_path(maildir, item))
        if record is None:
            log.warning("%s: no record of a held mail; skipped", maildir / names.HELD / item)
            continue
        # A mail client may have renamed it while the folder was read: look for itself.
        changes.found.append(_finished(found(record, mail or record.mail())))
    return changes


def _same(known: Known | None, size: int, mail: Path | None) -> bool:
    """Whether the index is right about an item as far as names and sizes tell."""
    if known is None or known.size != size:
        return False
    if mail is None:
        return known.state not in OPEN
    return known.state in OPEN and known.file == f"{mail.parent.name}/{mail.name}"


def _finished(one: Found) -> Found:
    if one.mail is None or one.record.state(there=True) in OPEN:
        return one
    with suppress(OSError):  # tried again whenever the folder is looked through
        one.mail.unlink(missing_ok=True)
    return Found(one.record, None)


def _records(maildir: Path) -> Iterator[tuple[str, int]]:
    """Ids and sizes of the records."""
    for entry in names.listed(maildir / names.HELD):
        item, _, kind = entry.name.partition(".")
        if kind == "jsonl" and names.is_id(item):
            with suppress(FileNotFoundError):
                yield item, entry.stat(follow_symlinks=False).st_size


def old_files(folder: Path, before: float) -> Iterator[os.DirEntry[str]]:
    """The files in ``folder`` that were last changed before a Unix time."""
    for entry in names.listed(folder):
        with suppress(FileNotFoundError):
            if entry.stat(follow_symlinks=False).st_mtime < before:
                yield entry

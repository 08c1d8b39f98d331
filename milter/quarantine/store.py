"""The quarantine: held mails as files, one item a mail and recipient.

    FOLDER/RECIPIENT/{tmp,new,cur}/TIME.M..P..Q..I<id>.HOST    a Maildir: Dovecot can show it
    FOLDER/RECIPIENT/held/<id>.jsonl                           facts, envelope, events
    FOLDER/index.sqlite                                        a cache of it all

The files are the truth. Their owners may move mails out with a mail client, flag them, delete
them; filters, commands and the page work on the same folder at the same time. All methods that are
not ``async`` wait for the disk: call them in a thread.

Whoever may see an item is the caller's business: the id alone gives nobody a right.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path

from milter.errors import Busy, NotHeld, QuarantineError, StartError
from milter.quarantine import expiry, names, release, scan
from milter.quarantine.access import Access
from milter.quarantine.hold import Batch, Holding
from milter.quarantine.index import Index
from milter.quarantine.item import Event, Item, State
from milter.quarantine.look import look_at
from milter.quarantine.query import Page, Query
from milter.quarantine.record import Locked, Record, locked, read
from milter.quarantine.scan import Found
from milter.quarantine.tables import IS_OPEN
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.spam.verdict import Judgement

__all__ = ["Batch", "Item", "Page", "Quarantine", "Query", "State"]

log = logging.getLogger(__name__)
# The mails' own log line: no subject, no full address.
journal = logging.getLogger("milter.journal")

#: Who delivers what was deferred.
FILTER = "the filter"
#: Who deletes what is too old.
EXPIRY = "expiry"
_DAY = 86400.0


class Quarantine:
    """The quarantine in ``folder``; ``group`` may read the mails as well."""

    def __init__(self, folder: Path, group: str = "") -> None:
        self._folder = folder
        self._group = group
        self._index = Index(folder)

    @property
    def there(self) -> bool:
        """Whether there is a quarantine: nothing was ever held otherwise."""
        return self._folder.is_dir()

    def prepare(self) -> None:
        """Make the folder; raises ``StartError`` where it cannot be used."""
        access = Access.of(self._group)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            access.make_top(self._folder)
            probe = self._folder / names.new_id()
            probe.touch()
            probe.unlink()
        except PermissionError as error:
            raise StartError(
                f"the quarantine {self._folder} cannot be used: {error.strerror}. Give the folder "
                "to the filter's user"
                + (f", and make that a member of the group {self._group}." if self._group else ".")
            ) from error
        except OSError as error:
            raise StartError(
                f"the quarantine {self._folder} cannot be used: {error.strerror}. "
                "Name another folder under [quarantine] folder."
            ) from error

    def hold(
        self,
        pieces: Iterable[bytes],
        envelope: Envelope,
        recipients: Sequence[Address],
        judgement: Judgement,
        state: State = State.HELD,
    ) -> Batch:
        """Write a mail (``pieces``: CRLF lines, our fields on top) for each of ``recipients``.

        It is on disk on return, and seen once the batch is committed. Raises ``OSError`` and
        leaves nothing behind.
        """
        return self._holding.hold(pieces, envelope, recipients, judgement, state)

    @cached_property
    def _holding(self) -> Holding:
        return Holding(self._folder, Access.of(self._group), self._committed)

    def _committed(self, held: Sequence[tuple[Record, Path]]) -> None:
        self._index.put([Found(record, mail) for record, mail in held])

    def find(self, query: Query) -> Page:
        """The items that ``query`` asks for; their files are looked at, those of others not."""
        places, total = self._index.find(query)
        found, lost = look_at(self._folder, places)
        items = [each.item for each in found]
        file = {place.id: place.file for place in places}
        changed = [
            each
            for each in found
            if each.file != file[each.record.facts.id]
            or (query.states and each.item.state not in query.states)
        ]
        if changed:
            self._index.put(changed)
        if lost:
            self._index.forget(lost)
        return Page(items, total - len(lost))

    def item(self, item: str) -> Item:
        """One item, whatever became of it; raises ``NotHeld`` where there is no record of it."""
        found = _found(self._record(item))
        if found.item.state is State.GONE:
            self._index.put([found])
        return found.item

    def history(self, item: str) -> Sequence[Event]:
        """What happened to an item since it was held; raises ``NotHeld``."""
        return self._record(item).events

    def content(self, item: str) -> bytes:
        """The mail as it is stored, our fields on top; raises ``NotHeld`` where it is no more."""
        mail = self._mail(self._record(item))
        try:
            return mail.read_bytes()
        except OSError as error:
            raise release.failed(error) from error

    async def release(self, item: str, next_hop: NextHop, by: str) -> Reply:
        """Deliver a held mail with its own envelope and a corrected verdict; then it is gone here.

        The reply is the next hop's: unless it is 2xx the mail stays. Raises ``NotHeld`` (released
        already, deleted, taken out), ``Busy``, ``NextHopError`` and other ``QuarantineError``; the
        mail stays then, too. ``next_hop`` is opened where need be and left open: several mails
        may go through one. ``by``: who let it go, for the record.
        """
        return await self._deliver(item, next_hop, by, correct=True)

    async def retry(self, item: str, next_hop: NextHop) -> Reply:
        """The same for a deferred mail, with the header that it has; a 5xx makes it a held one."""
        return await self._deliver(item, next_hop, FILTER, correct=False)

    async def _deliver(self, item: str, next_hop: NextHop, by: str, correct: bool) -> Reply:
        path = await asyncio.to_thread(self._path_of, item)
        with self._locked(path) as held:
            try:
                mail = self._mail(held.record)
                reply = await release.release(held, mail, next_hop, by, correct)
            finally:
                await asyncio.shield(asyncio.to_thread(self._indexed, held))
        _log(item, "release", by, str(reply))
        return reply

    def delete(self, item: str, by: str) -> None:
        """Delete a mail, and put on record who did. Raises as ``release`` does."""
        self._end(item, State.DELETED, by)

    def _end(self, item: str, state: State, by: str) -> None:
        with self._locked(self._path_of(item)) as held:
            release.end(held, self._mail(held.record), state, by)
            self._indexed(held)
        _log(item, str(state), by)

    def deferred(self) -> list[str]:
        """The ids of the mails that the filter still has to deliver, oldest first."""
        places = self._index.select(f"rest = 'deferred' AND {IS_OPEN} ORDER BY time")
        return [place.id for place in places]

    def counts_by_day(
        self, recipients: Sequence[str] | None, days: int
    ) -> list[tuple[date, str, int]]:
        """How many mails came to be held on each of the last ``days`` (local time), by verdict.

        Days without any are not listed. Mails that were released or deleted count as long as their
        records stay. ``recipients`` as in ``Query``.
        """
        since = date.today() - timedelta(days=days - 1)
        counts = self._index.counts(recipients, since.isoformat())
        return [(date.fromisoformat(day), verdict, count) for day, verdict, count in counts]

    def reconcile(self) -> None:
        """Bring the index in line with the files, and finish what was killed on its way."""
        self._index.reconcile()

    def expire(self, now: float, days: int) -> int:
        """Delete what is held for more than ``days``; how many mails that were.

        The records stay for as long again. Leftovers of a crash go after 36 hours. ``now``: Unix
        time. What the filter has still to deliver stays.
        """
        self.reconcile()
        before = now - days * _DAY
        count = 0
        for place in self._index.select(f"rest = 'held' AND {IS_OPEN} AND time < ?", [before]):
            count += self._expired(place.id)
        for place in self._index.select("state = 'gone' AND ended IS NULL"):
            expiry.note_gone(self._record_path(place.folder, place.id), EXPIRY)
        self.reconcile()
        ended = self._index.select("ended < ?", [before])
        expiry.remove_records(self._record_path(place.folder, place.id) for place in ended)
        self._index.forget(place.id for place in ended)
        expiry.remove_leftovers(self._folder, now)
        return count

    def _expired(self, item: str) -> bool:
        """Whether a mail is gone now because it is too old."""
        try:
            self._end(item, State.EXPIRED, EXPIRY)
        except (NotHeld, Busy):
            return False  # it was taken out meanwhile, or is being released
        except QuarantineError as error:  # the next one may free the space that this one lacks
            log.error("held mail %s cannot be deleted: %s", item, error)
            return False
        return True

    def _record_path(self, folder: str, item: str) -> Path:
        return names.record_path(self._folder / folder, item)

    def _path_of(self, item: str) -> Path:
        """Where the record of an item lies, also if the index does not know it."""
        if names.is_id(item):
            if folder := self._index.folder_of(item):
                return self._record_path(folder, item)
            for maildir in scan.maildirs(self._folder):
                if (path := names.record_path(maildir, item)).exists():
                    return path
        raise _unknown(item)

    def _record(self, item: str) -> Record:
        record = read(self._path_of(item))
        if record is None:
            raise _unknown(item)
        return record

    @contextmanager
    def _locked(self, path: Path) -> Iterator[Locked]:
        with locked(path) as held:
            if held is None:
                raise _unknown(path.stem)
            yield held

    def _mail(self, record: Record) -> Path:
        """The file of a mail that is still held; raises ``NotHeld`` with what became of it."""
        found = _found(record)
        if found.mail is None or not found.item.open:
            self._index.put([found])
            raise _fate(found.item)
        return found.mail

    def _indexed(self, held: Locked) -> None:
        self._index.put([_found(held.record)])


def _found(record: Record) -> Found:
    return scan.found(record, record.mail())


def _log(item: str, event: str, by: str, reply: str = "-") -> None:
    who = by.rpartition("@")[2].replace(" ", "-")
    journal.info("held=%s event=%s by=%s reply=%s", item, event, who or "-", reply)


def _unknown(item: str) -> NotHeld:
    return NotHeld(f"there is no held mail {item[:40]!r}")


def _fate(item: Item) -> NotHeld:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.changed))
    by = f" by {item.by}" if item.by else ""
    match item.state:
        case State.RELEASED:
            return NotHeld(f"held mail {item.id} was released already, {when}{by}")
        case State.DELETED | State.EXPIRED:
            return NotHeld(f"held mail {item.id} was deleted already, {when}{by}")
    return NotHeld(f"held mail {item.id} is not here any more: its recipient took it out")

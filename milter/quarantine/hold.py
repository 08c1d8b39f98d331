"""A mail is held: written once, linked for each further recipient, its facts beside it.

Nothing of it is seen before ``commit``, which comes when nothing else can stop the mail. On disk
before that, in this order: the mail (in ``tmp``), its facts. So a mail in ``new`` always has its
facts, and facts whose mail never got there belong to no mail that anybody was told we have.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from milter import durable
from milter.mail import header, text
from milter.mail.mime import MAX_HEADER
from milter.quarantine import names
from milter.quarantine.access import Access
from milter.quarantine.item import Facts, State
from milter.quarantine.record import Record, facts_line
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement

# Characters of subject and author that are kept, for lists and for searching.
_SHOWN = 500
# Octets of a header value that these are made from: encoded words are longer than what they say.
_VALUE = 4000
# File systems without hard links, across two of them, and with too many links to one file.
_NO_LINK = frozenset({errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
# Octets a read, when a mail is copied.
_PIECE = 1 << 16
_NOBODY = Address(b"<>", b"")
# Who is told of records and their mails.
_Told = Callable[[Sequence[tuple[Record, Path]]], None]


@dataclass(frozen=True, slots=True)
class _Copy:
    """The mail for one recipient: where it waits, where it goes to, where its facts lie."""

    id: str
    recipient: Address
    name: str
    folder: Path

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp" / self.name

    @property
    def final(self) -> Path:
        return self.folder / "new" / self.name

    @property
    def record(self) -> Path:
        return names.record_path(self.folder, self.id)


@dataclass(slots=True)
class Batch:
    """One mail held for some recipients, on disk and not in place yet."""

    _copies: Sequence[_Copy]
    _committed: _Told
    _records: list[Record] = field(default_factory=list)

    @property
    def ids(self) -> tuple[str, ...]:
        """The items' ids, in the order of the recipients."""
        return tuple(copy.id for copy in self._copies)

    def commit(self) -> None:
        """Put the mail in place for all; on return it is there whatever happens.

        Raises ``OSError``, and then it is there for nobody.
        """
        try:
            for copy in self._copies:
                copy.temporary.rename(copy.final)
            for folder in _distinct(copy.final.parent for copy in self._copies):
                durable.fsync_folder(folder)
        except OSError:
            self.abandon()
            raise
        finals = [copy.final for copy in self._copies]
        self._committed(list(zip(self._records, finals, strict=True)))

    def abandon(self) -> None:
        """Take everything away again; never raises."""
        for copy in self._copies:
            # The facts first: without a mail they would tell of one that its recipient took.
            for path in (copy.record, copy.temporary, copy.final):
                with suppress(OSError):
                    path.unlink(missing_ok=True)


class Holding:
    """Holds mails below ``folder``; ``committed`` is told of each batch that is in place."""

    def __init__(self, folder: Path, access: Access, committed: _Told) -> None:
        self._folder = folder
        self._access = access
        self._committed = committed
        self._ready: set[str] = set()

    def hold(
        self,
        pieces: Iterable[bytes],
        envelope: Envelope,
        recipients: Sequence[Address],
        judgement: Judgement,
        state: State,
    ) -> Batch:
        """Write a mail and its facts. Raises ``OSError`` and leaves nothing behind."""
        batch = Batch([self._copy(recipient) for recipient in recipients], self._committed)
        try:
            self._write(batch, pieces, envelope, judgement, state)
        except BaseException:
            batch.abandon()
            raise
        return batch

    def _copy(self, recipient: Address) -> _Copy:
        item = names.new_id()
        name = names.folder_name(recipient.mailbox)
        folder = self._folder / name
        parts = ("tmp", "new", "cur", names.HELD)  # somebody may have removed one of them
        if name not in self._ready or not all((folder / part).is_dir() for part in parts):
            self._access.make_maildir(folder)
            self._ready.add(name)
        return _Copy(item, recipient, names.file_name(item), folder)

    def _write(
        self,
        batch: Batch,
        pieces: Iterable[bytes],
        envelope: Envelope,
        judgement: Judgement,
        state: State,
    ) -> None:
        head = _Head()
        written: Path | None = None
        for copy in batch._copies:
            if written:
                self._repeat(written, copy.temporary)
            else:
                self._store(copy.temporary, head.watching(pieces))
                written = copy.temporary
        common = _facts(envelope, judgement, state, head)
        for copy in batch._copies:
            facts = replace(common, id=copy.id, name=copy.name, recipient=copy.recipient)
            line = facts_line(facts)
            durable.write(copy.record, [line])
            batch._records.append(Record(copy.record, facts, [], len(line)))
        for folder in _distinct(copy.record.parent for copy in batch._copies):
            durable.fsync_folder(folder)

    def _store(self, path: Path, pieces: Iterable[bytes]) -> None:
        durable.write(path, pieces, self._access.file_mode, self._access.group)

    def _repeat(self, written: Path, path: Path) -> None:
        """The same mail once more: a link, which costs no space, or else a copy."""
        try:
            os.link(written, path)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            with written.open("rb") as file:
                self._store(path, iter(lambda: file.read(_PIECE), b""))


class _Head:
    """Watches a mail go by: how it begins, and how long it is."""

    def __init__(self) -> None:
        self._start = b""
        self.octets = 0

    def watching(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces."""
        for piece in pieces:
            self.octets += len(piece)
            if len(self._start) < MAX_HEADER:
                self._start += piece[:MAX_HEADER]
            yield piece

    def value(self, name: bytes) -> str:
        """The first field called ``name`` (in small letters) as text on one line."""
        end, _ = header.body_range(self._start, 0, len(self._start))
        fields = header.fields(self._start[:end])
        value = next((value for found, value in fields if found == name), b"")
        shown = " ".join(text.unencoded(value[:_VALUE]).replace("\0", " ").split())[:_SHOWN]
        return shown.encode("utf-8", "replace").decode("utf-8")  # no half of a surrogate pair


def _facts(envelope: Envelope, judgement: Judgement, state: State, head: _Head) -> Facts:
    """What all copies have in common."""
    return Facts(
        id="",
        name="",
        time=round(time.time(), 6),  # so that a list keeps the order of arrival
        state=state,
        sender=envelope.sender,
        recipient=_NOBODY,
        attributes=dict(envelope.attributes),
        client=envelope.client,
        mail_id=envelope.id,
        verdict=str(judgement.verdict),
        score=round(judgement.score.fake, 4) if judgement.score else None,
        reason=str(judgement.reason or ""),
        asks=tuple(judgement.asks),
        offers=tuple(judgement.offers),
        clues=tuple((word, round(weight, 4)) for word, weight in judgement.clues),
        model=judgement.model,
        subject=head.value(b"subject"),
        author=head.value(b"from"),
        octets=head.octets,
    )


def _distinct(folders: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(folders))

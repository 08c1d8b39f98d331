"""The index of what the filter saw: a line a mail, by which a changed copy finds its verdict again.

A line has time, verdict, score and model, and in place of Message-ID and body a keyed digest of
each (BLAKE2b, RFC 7693): without the file ``key`` beside it nobody can ask the index for a mail.

A copy is found by its Message-ID, whatever else was changed on the way: a list's footer, a tag in
the subject, header fields, the encoding. One with another Message-ID or none is found by its body
(``milter.mail.identity``). It is not found where the Message-ID *and* the words of the body were
changed, or with no Message-ID a body of a few words; and of several mails with one text, the
newest answers for all.

Any number of processes may append: each line is one ``write`` behind the end (O_APPEND). A process
that is killed loses the lines of the mails under way, a power cut those of the last seconds too:
an fsync for each mail would cost more than they are worth. Nothing here ever stops a mail.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import MISSING, dataclass, field, fields
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from milter import keys
from milter.complaint import Complaint
from milter.errors import JournalError
from milter.mail import identity

if TYPE_CHECKING:
    from milter.smtp.reply import Reply
    from milter.spam.action import Action
    from milter.spam.verdict import Judgement

log = logging.getLogger(__name__)

#: The names within the folder: the file in use, the one before it, the key.
NAME, BEFORE, KEY = "seen.jsonl", "seen.jsonl.1", "key"
_DIGEST_SIZE = 16  # octets: two mails in 10^18 share one by chance
_RECIPIENTS = 100  # of a mail that are kept: a line stays short
_FAILS = "the index of seen mails in %s cannot be written: %s; mail goes on without it"
_ENCODER = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Digests:
    """What stands for a mail, in hexadecimal; empty for what the mail does not have."""

    message_id: str
    body: str
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """A line: one mail's passage through the filter, in the words of the log's closed lists.

    ``time``: Unix time; ``id``: ties it to the log line; ``reply``: the code that the next hop
    gave for the mail, 0 where none came (then it may have the mail all the same); ``action``: what
    was done, ``would``: what the settings ask for, if that is something else (in shadow);
    ``recipients``: a keyed digest of each, of many the first hundred.
    """

    time: float
    id: str
    message_id: str
    body: str
    verdict: str
    score: float | None
    reason: str
    asks: list[str]
    offers: list[str]
    model: str
    reply: int
    action: str = ""
    would: str = ""
    recipients: list[str] = field(default_factory=list)


# Lines of an older filter lack what has a default.
_NEEDED = frozenset(
    field.name
    for field in fields(Seen)
    if field.default is MISSING and field.default_factory is MISSING
)
_FIELDS = frozenset(field.name for field in fields(Seen))


class Index:
    """The writing end. Raises ``JournalError`` where ``folder`` cannot be used at the start.

    ``size``: octets that all lines may take; past half of it the older half is dropped.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._name = os.fspath(folder / NAME)
        self._half = size // 2
        self._file = -1
        self._missing = 0
        self._complaint = Complaint(log, _FAILS, folder)
        try:
            self._open()
        except OSError as error:
            raise JournalError(
                f"the index of seen mails cannot be written in {folder}: {error.strerror}. Give "
                "the folder to the filter's user, or name another one under [journal] folder."
            ) from error

    def digests(self, content: bytes, mailboxes: Sequence[str] = ()) -> Digests:
        """The digests of a mail, its first megabyte is enough, and of those it goes to."""
        known = mailboxes[:_RECIPIENTS]
        to = tuple(_recipient_digest(self._key, mailbox) for mailbox in known)
        return _digests(self._key, content, to)

    def record(
        self,
        mail_id: str,
        digests: Digests,
        judgement: Judgement,
        reply: Reply | None,
        actions: Iterable[Action] = (),
        wanted: Iterable[Action] = (),
    ) -> None:
        """Append the line of a mail. Never raises: mail goes on without it, and the log says so."""
        action, would = ",".join(actions), ",".join(wanted)
        seen = {  # as ``Seen`` has it; made as one, it would be taken apart again at once
            "time": round(time.time(), 3),
            "id": mail_id,
            "message_id": digests.message_id,
            "body": digests.body,
            "verdict": judgement.verdict,
            "score": round(judgement.score.fake, 4) if judgement.score else None,
            "reason": judgement.reason or "",
            "asks": judgement.asks,
            "offers": judgement.offers,
            "model": judgement.model,
            "reply": reply.code if reply else 0,
            "action": action,
            "would": would if would != action else "",
            "recipients": digests.recipients,
        }
        try:
            self._append(_ENCODER.encode(seen).encode("ascii") + b"\n")
        except (OSError, JournalError) as error:
            self._miss(error)
        else:
            self._caught_up()

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _open(self) -> None:
        """Folder, key and file, each made where it is missing: they may be removed at any time."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = _key(self._folder)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._folder / NAME, flags, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")  # what a crash or a full disk cut off stays a line alone

    def _append(self, line: bytes) -> None:
        self._turn_to_right_file(len(line))
        written = os.write(self._file, line)
        if written < len(line):
            raise OSError(0, "the disk is full")

    def _turn_to_right_file(self, more: int) -> None:
        """Open what is called ``NAME`` now; begin a new one where ``more`` octets are too many."""
        try:
            named = os.stat(self._name)  # noqa: PTH116 - for each mail, at a third of the cost
        except FileNotFoundError:
            named = None
        if named and named.st_size and named.st_size + more > self._half and self._rotated(more):
            named = None
        if self._file < 0 or not named or not os.path.samestat(named, os.fstat(self._file)):
            self.close()
            self._open()

    def _rotated(self, more: int) -> bool:
        """Put the file aside, unless another process does so now or has done."""
        lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            full = (self._folder / NAME).stat().st_size + more > self._half
            if full:
                (self._folder / NAME).replace(self._folder / BEFORE)
        except BlockingIOError:  # never wait on the mail path; this line still goes into the old
            return False
        finally:
            os.close(lock)
        return full

    def _miss(self, error: Exception) -> None:
        self.close()
        self._missing += 1
        self._complaint.tell(error)

    def _caught_up(self) -> None:
        if self._missing:
            log.warning("the index is written again; %d mails are missing in it", self._missing)
            self._missing = 0
            self._complaint.over()


def find(folder: Path, content: bytes) -> Seen | None:
    """The passage of the mail that ``content`` (CRLF lines) is a copy of, None if it is not known.

    Of several with its Message-ID, the newest one with its body, or else the newest. Raises
    ``JournalError`` where the index cannot be read.
    """
    key = _existing_key(folder)
    if not key:
        return None
    wanted = _digests(key, content)
    same_id, same_body = None, None
    for seen in _matching(folder, wanted):
        if seen.message_id and seen.message_id == wanted.message_id:
            if not same_id or seen.body == wanted.body or same_id.body != wanted.body:
                same_id = seen
        elif seen.body and seen.body == wanted.body:
            same_body = seen
    return same_id or same_body


def with_message_id(folder: Path, message_id: bytes) -> list[Seen]:
    """All passages of mails with this Message-ID (without brackets), oldest first."""
    key = _existing_key(folder)
    if not key or not message_id:
        return []
    return list(_matching(folder, Digests(_digest(key, b"message-id", message_id), "")))


def recent(folder: Path, since: float, recipient: str = "") -> Iterator[Seen]:
    """The mails seen since a Unix time, oldest first; with ``recipient`` (a mailbox) only those
    that went there. Raises ``JournalError`` where the index cannot be read."""
    key = _existing_key(folder)
    if not key:
        return
    needle = _recipient_digest(key, recipient).encode("ascii") if recipient else b""
    for line in _lines(folder):
        if needle in line and (seen := _parsed(line)) and seen.time >= since:
            yield seen


def oldest(folder: Path) -> float | None:
    """The Unix time from which on the index has lines; None where it has none."""
    return next((seen.time for line in _lines(folder) if (seen := _parsed(line))), None)


def _recipient_digest(key: bytes, mailbox: str) -> str:
    return _digest(key, b"recipient", mailbox.encode("utf-8", "surrogateescape"))


def _digests(key: bytes, content: bytes, recipients: tuple[str, ...] = ()) -> Digests:
    return Digests(
        _digest(key, b"message-id", identity.message_id(content)),
        _digest(key, b"body", identity.folded_body(content)),
        recipients,
    )


def _digest(key: bytes, kind: bytes, octets: bytes) -> str:
    if not octets:
        return ""
    return blake2b(octets, key=key, digest_size=_DIGEST_SIZE, person=kind).hexdigest()


def _key(folder: Path) -> bytes:
    """The key, made where there is none."""
    if key := _existing_key(folder):
        return key
    keys.make(folder / KEY)
    return _existing_key(folder)


def _existing_key(folder: Path) -> bytes:
    """The key, or nothing where there is none: then there is no index either."""
    try:
        return keys.existing(folder / KEY)
    except OSError as error:
        raise _unreadable(folder / KEY, error) from error
    except ValueError as error:
        raise JournalError(
            f"{folder / KEY}: {error}. Put the right one back, or remove it: a new one is made, "
            "and older lines of the index are then of no use."
        ) from error


def _unreadable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"{path}: {error.strerror}; the index is for the filter's user, and root")


def _matching(folder: Path, wanted: Digests) -> Iterator[Seen]:
    """The lines that have one of the digests, oldest first."""
    needles = [digest.encode("ascii") for digest in (wanted.message_id, wanted.body) if digest]
    for line in _lines(folder):
        if any(needle in line for needle in needles) and (seen := _parsed(line)):
            yield seen


def _lines(folder: Path) -> Iterator[bytes]:
    """The lines of both files, oldest first."""
    with ExitStack() as opened:
        # The file in use first: what is put aside between the two is then not missed.
        files = [_opened(folder / name, opened) for name in (NAME, BEFORE)]
        inodes = [os.fstat(file.fileno()).st_ino for file in files if file]
        if len(set(inodes)) < len(inodes):  # put aside just then: twice the same
            files.pop()
        for file in reversed(files):
            yield from file or ()


def _opened(path: Path, stack: ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _parsed(line: bytes) -> Seen | None:
    """A line's mail; None for what a crash cut off."""
    try:
        told = json.loads(line)
        if not told.keys() >= _NEEDED:
            return None
        return Seen(**{name: told[name] for name in _FIELDS & told.keys()})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None

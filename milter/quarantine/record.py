"""The file beside a held mail: a line of facts, then a line for each event (JSON).

Lines are appended and fsynced, never changed. One that a crash cut off counts for nothing: what it
would have told has then not been done, or is done again. Who appends holds the file's lock
(flock(2)), which goes with the process that has it, however that ends.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from milter.errors import Busy
from milter.quarantine import names
from milter.quarantine.item import OPEN, RESTING, Event, Facts, Item, State, item_of
from milter.smtp.command import Address


@dataclass(frozen=True, slots=True)
class Record:
    """The file as read: ``size`` in octets, ``path`` of the file, ``maildir`` that it lies in."""

    path: Path
    facts: Facts
    events: Sequence[Event]
    size: int

    @property
    def maildir(self) -> Path:
        """The Maildir of the recipient."""
        return self.path.parent.parent

    @property
    def last(self) -> Event:
        """The last event; a mail to which nothing happened was put there."""
        return self.events[-1] if self.events else Event(self.facts.state, self.facts.time)

    @property
    def rest(self) -> State:
        """What the mail goes back to when a release comes to nothing: held or deferred."""
        resting = (event.state for event in reversed(self.events) if event.state in RESTING)
        return next(resting, self.facts.state)

    def mail(self) -> Path | None:
        """The mail; None where its recipient took it out, or it was not put in place yet."""
        return names.find_mail(self.maildir, self.facts.name)

    def state(self, there: bool) -> State:
        """Where the mail stands, if its file is ``there`` or is not."""
        told = self.last.state
        if told in OPEN:
            return told if there else State.GONE
        return self.rest if told is State.GONE and there else told

    def item(self, there: bool) -> Item:
        """For lists and pages."""
        return item_of(self.facts, self.last, self.state(there))


def read(path: Path) -> Record | None:
    """The record in ``path``; None where it is not there, or its facts are not whole."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return None
    return parsed(path, octets)


def parsed(path: Path, octets: bytes) -> Record | None:
    """The record in ``octets``; None where its facts are not whole."""
    first, *rest = octets.split(b"\n")
    facts = _facts(first)
    if facts is None:
        return None
    return Record(path, facts, [event for line in rest if (event := _event(line))], len(octets))


def facts_line(facts: Facts) -> bytes:
    """The facts as a line."""
    told = asdict(facts)
    told["sender"], told["recipient"] = _words(facts.sender), _words(facts.recipient)
    told["attributes"] = {_text(name): _text(value) for name, value in facts.attributes.items()}
    return _line(told)


@contextmanager
def locked(path: Path) -> Iterator[Locked | None]:
    """The record in ``path``, locked until the block ends; None where there is none.

    Raises ``Busy`` where another has it.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        _lock(file)
        octets = _whole(file)
        record = parsed(path, octets) if os.fstat(file).st_nlink else None
        held = Locked(file, record) if record else None
        try:
            yield held
        finally:
            if held:
                held.let_go()
    finally:
        os.close(file)


class Locked:
    """A record that nobody else changes now."""

    def __init__(self, file: int, record: Record) -> None:
        self._file = file
        self._mutex = threading.Lock()
        self.record = record

    def let_go(self) -> None:
        """Take no more events: the file is closed, and its number may soon be another's.

        A thread may still be at work for a delivery that was cancelled.
        """
        with self._mutex:
            self._file = -1

    def append(self, state: State, by: str, reply: str = "") -> None:
        """Put an event on disk; raises ``OSError`` where it cannot be."""
        event = Event(state, round(time.time(), 6), by, reply)
        with self._mutex:
            if self._file < 0:
                raise OSError(errno.ECANCELED, "the delivery was cancelled")
            size = _append(self._file, _line(asdict(event)))
            before = self.record
            self.record = Record(before.path, before.facts, [*before.events, event], size)


def _append(file: int, line: bytes) -> int:
    """Put a line on disk, behind all others; the file's size then."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        line = b"\n" + line  # what a crash or a full disk cut off stays a line alone
    if os.write(file, line) < len(line):
        raise OSError(errno.ENOSPC, "the disk is full")
    os.fsync(file)
    return size + len(line)


def _lock(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy("somebody else releases or deletes this mail just now; try again") from error


def _whole(file: int) -> bytes:
    """All of a file, in one read as a rule: another may append at any time."""
    octets = b""
    while piece := os.pread(file, 1 << 16, len(octets)):
        octets += piece
    return octets


def _line(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _text(octets: bytes) -> str:
    """Octets as JSON can hold them, each as the character of its number."""
    return octets.decode("latin-1")


def _words(address: Address) -> list[str]:
    return [_text(address.path), _text(address.parameters)]


def _address(words: Sequence[str]) -> Address:
    path, parameters = (word.encode("latin-1") for word in words)
    return Address(path, parameters)


def _facts(line: bytes) -> Facts | None:
    try:
        told = json.loads(line)
        for name in ("sender", "recipient"):
            told[name] = _address(told[name])
        attributes = told["attributes"].items()
        told["attributes"] = {key.encode("latin-1"): v.encode("latin-1") for key, v in attributes}
        told["state"] = State(told["state"])
        told["asks"], told["offers"] = tuple(told["asks"]), tuple(told["offers"])
        told["clues"] = tuple((text, weight) for text, weight in told["clues"])
        return Facts(**told)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def _event(line: bytes) -> Event | None:
    try:
        told = json.loads(line)
        return Event(State(told["state"]), told["time"], told["by"], told["reply"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return None

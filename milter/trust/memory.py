"""What is remembered of senders: whom the owners write to, and which mails were called fake.

All is kept as keyed digests (BLAKE2b, RFC 7693): without the file ``key`` beside it nobody can ask
whether an address is known, and nobody can read one out of it with or without.

A database of SQLite, which several processes may use at once: readers wait for nobody (WAL), a
writer at most a fifth of a second. A power cut may lose the last minutes, nothing else. What cannot
be read or written is said in the log, and mail goes on as if nothing were known. A damaged file is
put aside and a new one begun.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from milter import keys
from milter.complaint import Complaint

log = logging.getLogger(__name__)

#: The names within the folder: the database, a damaged one, the lock of who makes or mends it, and
#: the key, the same that the index of seen mails has.
NAME, DAMAGED, LOCK, KEY = "known.sqlite", "known.sqlite.damaged", "known.lock", "key"

_DAY = 86400
#: Seconds for which a fake is remembered by its Message-ID, and by its author and subject.
FAKE_BY_ID, FAKE_BY_TOPIC = 60 * _DAY, 30 * _DAY

_MOST = 200_000  # correspondents, and marks of fakes; 60 octets each
_DIGEST_SIZE = 16  # octets: two addresses in 10^18 share one by chance
_PATIENCE = 0.2  # seconds that a writer waits for another one; mails wait meanwhile
_TRIM_EVERY = 1000  # writes of a process between two looks at the size: each walks the table
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LAYOUT = """
CREATE TABLE IF NOT EXISTS correspondents (who BLOB PRIMARY KEY, last INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fakes (
    mark BLOB PRIMARY KEY, author BLOB, score REAL, time INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS correspondents_last ON correspondents (last);
CREATE INDEX IF NOT EXISTS fakes_time ON fakes (time);
"""
_FAILS = "what is known of senders cannot be kept in %s: %s; mail goes on without it"
_SET_ASIDE = "%s was damaged and is now %s; whom one knows is learned anew"

_T = TypeVar("_T")


class Memory:
    """Opened with its first use. No method raises."""

    def __init__(
        self, folder: Path, most: int = _MOST, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._path = folder / NAME
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._opened: _Opened | None = None
        self._writes = 0
        self._complaint = Complaint(log, _FAILS, folder)

    def knows(self, mailbox: str) -> bool:
        """Whether somebody here has written to ``mailbox``."""

        def look(opened: _Opened) -> bool:
            who = opened.digest(b"correspondent", mailbox)
            return opened.has("SELECT 1 FROM correspondents WHERE who = ?", who)

        return self._use(look, False)

    def learn(self, mailboxes: Iterable[str]) -> None:
        """Somebody here writes to ``mailboxes``."""
        now = int(self._clock())

        def write(opened: _Opened) -> None:
            rows = [(opened.digest(b"correspondent", mailbox), now) for mailbox in mailboxes]
            opened.write("INSERT OR REPLACE INTO correspondents VALUES (?, ?)", rows)

        self._use(write, None)
        self._trim()

    def called_fake(self, message_ids: Sequence[bytes], topic: str, author: str) -> bool:
        """Whether a mail of ``author`` with one of these Message-IDs, or ``topic``, was fake."""
        now = int(self._clock())

        def look(opened: _Opened) -> bool:
            who = opened.digest(b"author", author)
            ages = dict(opened.marks(message_ids, topic, author))
            called = opened.fakes(list(ages), who)
            return any(time_ > now - ages[mark] for mark, time_ in called)

        return self._use(look, False)

    def call_fake(
        self, message_ids: Sequence[bytes], topic: str, author: str, score: float | None
    ) -> None:
        """A mail of ``author`` was called fake."""
        now = int(self._clock())

        def write(opened: _Opened) -> None:
            who = opened.digest(b"author", author)
            marks = opened.marks(message_ids, topic, author)
            rows = [(mark, who, score, now) for mark, _ in marks]
            opened.write("INSERT OR REPLACE INTO fakes VALUES (?, ?, ?, ?)", rows)

        self._use(write, None)
        self._trim()

    def forget_fake(self, message_ids: Sequence[bytes], topic: str, author: str) -> None:
        """They were none after all; those of other authors stay."""

        def write(opened: _Opened) -> None:
            who = opened.digest(b"author", author)
            rows = [(mark, who) for mark, _ in opened.marks(message_ids, topic, author)]
            opened.write("DELETE FROM fakes WHERE mark = ? AND author = ?", rows)

        self._use(write, None)

    def close(self) -> None:
        """Close the database; the next use opens it again."""
        with self._lock:
            self._drop()

    def _trim(self) -> None:
        """Let go of the oldest where there are too many, and of fakes that are too old."""
        self._writes += 1
        if self._writes % _TRIM_EVERY != 1:
            return
        now = int(self._clock())

        def write(opened: _Opened) -> None:
            for table, key, time_ in (("correspondents", "who", "last"), ("fakes", "mark", "time")):
                opened.write(
                    f"DELETE FROM {table} WHERE {key} IN "  # noqa: S608 - names of ours
                    f"(SELECT {key} FROM {table} ORDER BY {time_} DESC LIMIT -1 OFFSET ?)",
                    [(self._most,)],
                )
            opened.write("DELETE FROM fakes WHERE time <= ?", [(now - FAKE_BY_ID,)])

        self._use(write, None)

    def _use(self, work: Callable[[_Opened], _T], otherwise: _T) -> _T:
        """What ``work`` returns, or ``otherwise`` where the database cannot be used."""
        with self._lock:
            try:
                return self._attempt(work)
            except (sqlite3.Error, OSError, ValueError) as error:
                if not self._opened or not self._opened.ready:
                    self._drop()  # else it still answers, as on a full disk
                self._complaint.tell(error)
        return otherwise

    def _attempt(self, work: Callable[[_Opened], _T]) -> _T:
        try:
            return work(self._database())
        except sqlite3.DatabaseError as error:
            # The lower octet is the kind of fault (sqlite.org/rescode.html).
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                raise
        self._put_aside()
        return work(self._database())

    def _database(self) -> _Opened:
        """The database that has the name now: it may be put aside, or removed, at any time."""
        if self._opened and not self._opened.is_named(self._path):
            self._drop()
        if not self._opened:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _only_one(self._folder / LOCK):
                self._opened = _Opened(self._folder)
                self._opened.prepare()
        return self._opened

    def _put_aside(self) -> None:
        damaged = self._opened
        self._drop()  # first: SQLite may still write when it closes
        with _only_one(self._folder / LOCK):
            if not damaged or not damaged.is_named(self._path):
                return  # another process was quicker
            for rest in ("-wal", "-shm"):  # of the damaged one; a new one must not read them
                (self._folder / (NAME + rest)).unlink(missing_ok=True)
            self._path.replace(self._folder / DAMAGED)
        log.error(_SET_ASIDE, self._path, DAMAGED)

    def _drop(self) -> None:
        opened, self._opened = self._opened, None
        if opened:
            opened.close()


class _Opened:
    """A connection, the key, and which file this is."""

    def __init__(self, folder: Path) -> None:
        self.ready = False
        self._key = keys.existing(folder / KEY)
        if not self._key:
            keys.make(folder / KEY)
            self._key = keys.existing(folder / KEY)
        # Made here, for its user only: SQLite would make it as the umask has it.
        file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._stat = os.fstat(file)
        finally:
            os.close(file)
        self._connection = sqlite3.connect(
            folder / NAME, timeout=_PATIENCE, isolation_level="IMMEDIATE", check_same_thread=False
        )

    def prepare(self) -> None:
        """Tables and ways of writing."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_LAYOUT)
        self.ready = True

    def is_named(self, path: Path) -> bool:
        """Whether ``path`` is this file."""
        try:
            return os.path.samestat(os.stat(path), self._stat)  # noqa: PTH116 - a third of the cost
        except OSError:
            return False

    def digest(self, kind: bytes, text: str | bytes) -> bytes:
        """What stands for ``text``."""
        octets = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
        return blake2b(octets, key=self._key, digest_size=_DIGEST_SIZE, person=kind).digest()

    def marks(
        self, message_ids: Sequence[bytes], topic: str, author: str
    ) -> Iterator[tuple[bytes, int]]:
        """By what a mail is found again, and for how many seconds."""
        for message_id in message_ids:
            yield self.digest(b"fake by id", message_id), FAKE_BY_ID
        if topic:
            yield self.digest(b"fake by topic", f"{author}\0{topic}"), FAKE_BY_TOPIC

    def has(self, query: str, *values: object) -> bool:
        """Whether ``query`` finds a row."""
        return self._connection.execute(query, values).fetchone() is not None

    def fakes(self, marks: Sequence[bytes], author: bytes) -> list[tuple[bytes, int]]:
        """Those of ``marks`` that ``author`` left, and when. One question for all of them."""
        places = ", ".join("?" * len(marks))
        query = f"SELECT mark, time FROM fakes WHERE mark IN ({places}) AND author = ?"  # noqa: S608 - question marks
        return self._connection.execute(query, (*marks, author)).fetchall()

    def write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """``statement`` for each of ``rows``, all or none."""
        with self._connection:
            self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Never raises."""
        with suppress(sqlite3.Error):  # what was to be kept is committed by now
            self._connection.close()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """One process at a time: for what takes a moment."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)

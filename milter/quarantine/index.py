"""The index of all held mail (SQLite): what lists, searching and counting are quick by.

It is a cache. What it says is checked against the files before anybody sees it, and where it is
missing, damaged or somebody else's, it is made anew from them. Writing it may fail at any time, and
mail goes on; the next reader then brings it in line with the files first.

Any number of processes use it at once, each with a connection an operation. A lock on the folder
(flock(2)) is shared by all of them, and alone to who makes the index anew.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, get_args

from milter.complaint import Complaint
from milter.quarantine import names, scan, tables
from milter.quarantine.item import State
from milter.quarantine.query import Query, Sort
from milter.quarantine.scan import Found, Known

log = logging.getLogger(__name__)

T = TypeVar("T")

_FAILS = "the index of held mail in %s cannot be used: %s; mails are held without it"
_PATIENCE = 5.0  # seconds for another process's transaction; on the mail path less
_HASTE = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item was last seen: its folder, and its mail's file in there (empty: nowhere)."""

    folder: str
    id: str
    file: str


class Index:
    """The index of the quarantine in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / names.INDEX
        # While it is there, the index lacks nothing. To take it away needs no room on the disk.
        self._current = folder / f"{names.INDEX}-current"
        self._complaint = Complaint(log, _FAILS, folder)

    def put(self, found: Iterable[Found]) -> None:
        """Take items in. Never raises.

        Where there is no index yet, there is nothing to do: it is made by who asks.
        """
        try:
            with self._connection(_HASTE, fcntl.LOCK_SH | fcntl.LOCK_NB) as db:
                if _usable(db):
                    _write(db, found, [])
        except FileNotFoundError:
            return
        except (sqlite3.Error, OSError) as error:
            self._miss(error)

    def forget(self, items: Iterable[str]) -> None:
        """Items whose records are gone. Never raises."""
        # What stays in the index is found missing by whoever opens it.
        with suppress(sqlite3.Error, OSError), self._connection(_HASTE) as db:
            _write(db, [], items)

    def find(self, query: Query) -> tuple[list[Place], int]:
        """The items asked for, and how many there are."""
        where, values = tables.where(query)
        assert query.sort in get_args(Sort)
        way = "ASC" if query.ascending else "DESC"
        order = f"{query.sort} {way}, n {way}"
        # What is put into SQL as text, here and below, is ours; what is asked for is in the values.
        part = f"SELECT n FROM items WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?"  # noqa: S608 - ours
        bounds = [max(query.limit, 0), max(query.offset, 0)]

        def ask(db: sqlite3.Connection) -> tuple[list[Place], int]:
            if query.words.split():
                db.execute(*tables.hits(query))
            # The whole rows of the part only: to skip the others, the narrow index is enough.
            places = _places(db, f"n IN ({part}) ORDER BY {order}", [*values, *bounds])
            (total,) = db.execute(f"SELECT count(*) FROM items WHERE {where}", values).fetchone()  # noqa: S608 - ours
            return places, total

        return self.read(ask)

    def folder_of(self, item: str) -> str:
        """The folder that an item lies in; empty where the index does not know, or is not there."""
        try:
            with self._connection(_HASTE) as db:
                if _usable(db):
                    row = db.execute("SELECT folder FROM items WHERE id = ?", [item]).fetchone()
                    return str(row[0]) if row else ""
        except (sqlite3.Error, OSError) as error:
            log.debug("the index does not tell where held mail %s is: %s", item, error)
        return ""

    def select(self, where: str, values: Sequence[object] = ()) -> list[Place]:
        """The items that a condition holds for."""
        return self.read(lambda db: _places(db, where, values))

    def counts(self, recipients: Sequence[str] | None, since: str) -> list[tuple[str, str, int]]:
        """Day (ISO), verdict, and how many were held then, from the day ``since`` on."""
        where, values = tables.among("recipient", recipients)
        held = f"day >= ? AND rest = 'held' AND {where}"
        sql = f"SELECT day, verdict, count(*) FROM items WHERE {held} GROUP BY day, verdict"  # noqa: S608 - ours
        return self.read(lambda db: db.execute(sql, [since, *values]).fetchall())

    def reconcile(self) -> None:
        """Make the index say what the files say."""
        with suppress(OSError):  # without it, the index is brought in line once more than needed
            self._current.touch(0o600)  # before looking: what is missed from now on counts
        try:
            with self._connection(_PATIENCE) as db:
                if _usable(db):
                    self._update(db)
                    return
        except (sqlite3.Error, OSError) as error:
            if not _is_broken(error):
                self._miss(error)
                return
        self._remake()

    def read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of ``ask``: of the index, made first or anew where need be.

        Where none can be (a full disk), of one in memory, made for this once.
        """
        if not self._current.exists():
            self.reconcile()
        try:
            return self._asked(ask)
        except (sqlite3.Error, OSError) as error:
            self._complaint.tell(error)
        with closing(sqlite3.connect(":memory:")) as db:
            self._fill(db)
            return ask(db)

    def _asked(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with self._connection(_PATIENCE) as db:
                if _usable(db):
                    return ask(db)
        except (sqlite3.Error, OSError) as error:
            if not _is_broken(error):
                raise
        self._remake()
        with self._connection(_PATIENCE) as db:
            return ask(db)

    @contextmanager
    def _connection(
        self, patience: float, lock: int = fcntl.LOCK_SH
    ) -> Iterator[sqlite3.Connection]:
        """Raises ``FileNotFoundError`` where there is no index, other ``OSError``, SQLite's."""
        with _locked(self._folder, lock):
            self._path.stat()
            with closing(_connected(self._path, patience)) as db:
                yield db

    def _remake(self) -> None:
        """Make the index anew, alone. Raises ``OSError`` or SQLite's own."""
        with _locked(self._folder, fcntl.LOCK_EX):
            if self._is_whole():  # another process was quicker
                return
            log.info("the index of held mail in %s is made", self._folder)
            for end in ("", "-wal", "-shm"):
                self._path.with_name(names.INDEX + end).unlink(missing_ok=True)
            _make_file(self._path)
            with closing(_connected(self._path, _PATIENCE)) as db:
                db.execute("PRAGMA journal_mode = WAL")
                self._fill(db)

    def _is_whole(self) -> bool:
        if not self._path.exists():
            return False
        try:
            with closing(_connected(self._path, _PATIENCE)) as db:
                sound: str = db.execute("PRAGMA quick_check(1)").fetchone()[0]
                return _usable(db) and sound == "ok"
        except sqlite3.Error:  # of whatever kind: it is made anew
            return False

    def _fill(self, db: sqlite3.Connection) -> None:
        """Tables and rows in one transaction: a process killed on the way leaves no index."""
        db.executescript(f"BEGIN; {tables.TABLES}")
        db.execute(f"PRAGMA application_id = {tables.APPLICATION}")
        db.execute(f"PRAGMA user_version = {tables.VERSION}")
        for maildir in scan.maildirs(self._folder):
            _put(db, scan.changes(maildir, {}).found)
        db.execute("COMMIT")

    def _update(self, db: sqlite3.Connection) -> None:
        """Write what has changed, a folder at a time, so that others have their turns."""
        before = {folder for (folder,) in db.execute("SELECT DISTINCT folder FROM items")}
        for maildir in scan.maildirs(self._folder):
            before.discard(maildir.name)
            changes = scan.changes(maildir, _known(db, maildir.name))
            if changes.found or changes.lost:
                _write(db, changes.found, changes.lost)
        for folder in before:  # a whole folder was removed
            _write(db, [], _known(db, folder))

    def _miss(self, error: Exception) -> None:
        """Let everybody know that the index lacks something."""
        with suppress(OSError):  # a disk that takes nothing: the complaint below is what is left
            self._current.unlink(missing_ok=True)
        self._complaint.tell(error)


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)


def _connected(path: Path, patience: float) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=patience, isolation_level=None)
    db.execute("PRAGMA synchronous = NORMAL")  # with WAL: whole after a power cut, perhaps older
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def _make_file(path: Path) -> None:
    """An empty file for nobody but the folder's owner, also where root makes it."""
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, 0o600)
        if os.geteuid() == 0:  # the filter has to write it as well
            owner = path.parent.stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
    finally:
        os.close(file)


def _usable(db: sqlite3.Connection) -> bool:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    return (application, version) == (tables.APPLICATION, tables.VERSION)


def _is_broken(error: Exception) -> bool:
    """Whether making the index anew helps: it is not there, damaged, or has other tables."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return isinstance(error, FileNotFoundError)


def _places(db: sqlite3.Connection, where: str, values: Sequence[object]) -> list[Place]:
    rows = db.execute(f"SELECT folder, id, file FROM items WHERE {where}", values)  # noqa: S608 - ours
    return [Place(*row) for row in rows]


def _write(db: sqlite3.Connection, found: Iterable[Found], lost: Iterable[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    _put(db, found)
    db.executemany("DELETE FROM items WHERE id = ?", ([item] for item in lost))
    db.execute("COMMIT")


def _put(db: sqlite3.Connection, found: Iterable[Found]) -> None:
    for each in found:
        db.execute(tables.PUT, tables.row(each))
        db.execute(tables.PUT_TEXT, [tables.words(each.item), each.item.id])


def _known(db: sqlite3.Connection, folder: str) -> dict[str, Known]:
    rows = db.execute("SELECT id, size, state, file FROM items WHERE folder = ?", [folder])
    return {item: Known(size, State(state), file) for item, size, state, file in rows}

"""The index's tables, and the words of SQL that ask them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from milter.quarantine.item import OPEN, Item
from milter.quarantine.query import Query
from milter.quarantine.scan import Found

#: What marks a file as this index; a file with another mark is made anew.
APPLICATION = 0x436F6F70
VERSION = 1
_TITLE = 80  # characters of sender and subject that are sorted by

TABLES = """
CREATE TABLE items (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, folder TEXT NOT NULL, file TEXT NOT NULL,
    recipient TEXT NOT NULL, state TEXT NOT NULL, rest TEXT NOT NULL, verdict TEXT NOT NULL,
    score REAL, time REAL NOT NULL, day TEXT NOT NULL, ended REAL, size INTEGER NOT NULL,
    sender TEXT NOT NULL, subject TEXT NOT NULL
);
CREATE TABLE texts (n INTEGER PRIMARY KEY, words TEXT NOT NULL);
CREATE TRIGGER forgotten AFTER DELETE ON items BEGIN DELETE FROM texts WHERE n = OLD.n; END;
CREATE INDEX by_time ON items (time, n, state, verdict);
CREATE INDEX by_score ON items (score, n, time, state, verdict);
CREATE INDEX by_sender ON items (sender, n, time, state, verdict);
CREATE INDEX by_subject ON items (subject, n, time, state, verdict);
CREATE INDEX by_recipient_time ON items (recipient, time, n, state, verdict);
CREATE INDEX by_recipient_score ON items (recipient, score, n, time, state, verdict);
CREATE INDEX by_recipient_day ON items (recipient, day, verdict, rest);
CREATE INDEX by_day ON items (day, verdict, rest);
CREATE INDEX by_folder ON items (folder, id, size, state, file);
CREATE INDEX by_end ON items (ended) WHERE ended IS NOT NULL;
CREATE INDEX to_deliver ON items (time) WHERE rest = 'deferred';
"""
_COLUMNS = (
    "id folder file recipient state rest verdict score time day ended size sender subject".split()
)
#: Takes an item in, new or changed (``row``). Records only grow: of two processes that write at
#: once, the one that has read more is right.
PUT = (
    f"INSERT INTO items ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - names of ours
    "ON CONFLICT (id) DO UPDATE SET file = excluded.file, state = excluded.state, "
    "rest = excluded.rest, ended = excluded.ended, size = excluded.size "
    "WHERE excluded.size >= size"
)
#: Takes in what is searched in (``words``), which never changes.
PUT_TEXT = "INSERT OR IGNORE INTO texts SELECT n, ? FROM items WHERE id = ?"
#: The condition that a mail is still there.
IS_OPEN = f"state IN ({', '.join(repr(str(state)) for state in OPEN)})"


def row(found: Found) -> list[object]:
    """An item as the index has it, in the order of the columns."""
    record, item = found.record, found.item
    ended = None if record.last.state in OPEN or item.open else record.last.time
    day = datetime.fromtimestamp(item.time).date().isoformat()
    told: list[object] = [item.id, record.maildir.name, found.file, item.recipient, str(item.state)]
    told += [str(record.rest), item.verdict, item.score, item.time, day, ended, record.size]
    return [*told, item.sender.casefold()[:_TITLE], item.subject.casefold()[:_TITLE]]


def words(item: Item) -> str:
    """What is searched in."""
    return "\n".join([item.subject, item.author, item.sender, item.recipient]).casefold()


def hits(query: Query) -> tuple[str, list[str]]:
    """Makes the table of what has the words of ``query``, which is asked twice; and its values."""
    words = query.words.casefold().encode("utf-8", "replace").decode("utf-8").split()
    each = " AND ".join(["instr(words, ?)"] * len(words)) or "1"
    return f"CREATE TEMP TABLE hits AS SELECT n FROM texts WHERE {each}", words  # noqa: S608 - nothing but question marks


def where(query: Query) -> tuple[str, list[object]]:
    """A query as a condition and its values. Where it has words, it needs the table ``hits``."""
    parts: list[tuple[str, Sequence[object]]] = [among("recipient", query.recipients)]
    if query.states:
        parts.append(among("state", [str(state) for state in query.states]))
    if query.verdicts:
        parts.append(among("verdict", query.verdicts))
    if query.since is not None:
        parts.append(("time >= ?", [query.since]))
    if query.until is not None:
        parts.append(("time < ?", [query.until]))
    if query.words.split():
        parts.append(("n IN hits", []))
    condition = " AND ".join(part for part, _ in parts)
    return condition, [value for _, values in parts for value in values]


def among(column: str, words: Sequence[str] | None) -> tuple[str, list[str]]:
    """The condition that ``column`` has one of ``words``; None: anything."""
    if words is None:
        return "1", []
    return f"{column} IN ({', '.join('?' * len(words))})", list(words)

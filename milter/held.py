"""Held mails as text: a JSON object, a line in columns, or all there is to say.

Subjects, authors and texts come from anybody: no control character of them reaches the terminal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from milter.mail.text import read_text
from milter.quarantine.item import Event, Item
from milter.report import printable

# Characters of a column, and lines of a mail's text.
_COLUMN = 32
_LINES = 30


def json_item(item: Item, events: Sequence[Event] | None = None) -> str:
    """An item as one JSON object, with its ``events`` where they are given."""
    told = asdict(item)
    if events is not None:
        told["events"] = [asdict(event) for event in events]
    return json.dumps(told)


def line(item: Item) -> str:
    """Id, arrival, state, verdict, score, recipient, author and subject in columns."""
    score = "-" if item.score is None else f"{item.score:.2f}"
    author = _cut(item.author or item.sender or "<>")
    told = f"{item.id}  {_moment(item.time)}  {item.state:<9}  {item.verdict:<8} {score:>4}  "
    return told + f"{_cut(item.recipient)}  {author}  {printable(item.subject)}".rstrip()


def explained(item: Item, events: Sequence[Event], content: bytes) -> str:
    """An item for people, with how the text of ``content`` begins."""
    return "\n".join([*_facts(item), *_history(item, events), *_text(content)])


def _facts(item: Item) -> Iterator[str]:
    score = "" if item.score is None else f", score {item.score:.2f}"
    reason = f" ({item.reason})" if item.reason else ""
    facts = {
        "recipient": item.recipient,
        "sender": f"{item.sender or '<>'}, from {item.client}",
        "author": item.author,
        "subject": item.subject,
        "verdict": f"{item.verdict}{reason}{score}, by model {item.model}",
        "asks for": ", ".join(item.asks) or "nothing that is in the lists",
        "offers": ", ".join(item.offers) or "nothing that is in the lists",
        "clues": ", ".join(f"{word} ({weight:+.1f})" for word, weight in item.clues),
        "mail": f"{item.octets} octets, id={item.mail_id} in the log",
    }
    yield f"{item.id}  {item.state}"
    for name, value in facts.items():
        if value:
            yield f"  {name:<10} {printable(value)}"


def _history(item: Item, events: Sequence[Event]) -> Iterator[str]:
    yield f"  {_moment(item.time)}  it came"
    for event in events:
        by = f" by {event.by}" if event.by else ""
        reply = f": {event.reply}" if event.reply else ""
        yield f"  {_moment(event.time)}  {event.state}{printable(by + reply)}"


def _text(content: bytes) -> Iterator[str]:
    lines = [text for text in read_text(content).body.splitlines() if text.strip()]
    if lines:
        yield ""
    for text in lines[:_LINES]:
        yield f"  {printable(text)}".rstrip()
    if len(lines) > _LINES:
        yield f"  ... and {len(lines) - _LINES} lines more: --raw"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _cut(text: str) -> str:
    """A column's width of ``text``."""
    shown = printable(text)
    if len(shown) > _COLUMN:
        shown = shown[: _COLUMN - 1] + "…"
    return f"{shown:<{_COLUMN}}"

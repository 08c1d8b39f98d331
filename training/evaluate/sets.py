"""What is measured on: folders, files of JSON lines and mailboxes as labelled mails.

    FOLDER          <label>/... or <label>/<language>/..., as the corpus is laid out
    FILE.jsonl      an object a line: label, subject, body, perhaps lang; or content, the whole mail
    LABEL=PATH      whatever ``milter.mail.folder`` reads, or JSON lines: all of it has that label

One mail at a time is in memory. What cannot be a source raises ``SourceError``; a mail in a source
that cannot be read is handed on as a fault.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milter.errors import CoopError
from milter.mail import header
from milter.mail.folder import as_content, read_all
from milter.spam.bundle import LABELS

#: The language of a mail of which nobody has said it.
UNKNOWN = "unknown"
_LABELS_ARE = f"labels are {', '.join(LABELS)}"
_LANGUAGE = re.compile(r"[a-z]{2}")  # ISO 639-1; Maildir's cur, new and tmp are longer
# Files that lie in any folder and are no mails.
_NO_MAIL = re.compile(r"\.|README|LICEN[CS]E", re.IGNORECASE)
# A text that has one of these fields on top is a mail with a header. "Anna: yes" is none.
_MAIL_FIELDS = frozenset(
    (b"from", b"to", b"subject", b"date", b"received", b"return-path", b"message-id")
)
_TEXT_HEADER = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"


class SourceError(CoopError):
    """What was given as a source is none; the text says why."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A labelled mail: its name within its source; its content, or why it cannot be read."""

    name: str
    label: str
    language: str
    content: bytes
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A set in the report. ``label`` is empty where the mails themselves bring theirs."""

    name: str
    path: Path
    label: str = ""

    def mails(self) -> Iterator[Mail]:
        """Its mails, in the same order each time."""
        if self.path.suffix == ".jsonl" and self.path.is_file():
            return _json_lines(self.path, self.label)
        if self.label:
            return _read(self.path, self.path, self.label)
        return _labelled_folders(self.path)


def open_sources(arguments: Sequence[str]) -> list[Source]:
    """The sources that the words of a command line name, each proved as far as a look allows."""
    sources: list[Source] = []
    taken: Counter[str] = Counter()
    for argument in arguments:
        label, path = _split(argument)
        _prove(label, path)
        name = printable(path.resolve().name or str(path))
        taken[name] += 1
        sources.append(Source(f"{name} ({taken[name]})" if taken[name] > 1 else name, path, label))
    return sources


def _split(argument: str) -> tuple[str, Path]:
    label, equals, path = argument.partition("=")
    if equals and label in LABELS:
        if not path:
            raise SourceError(f"{argument}: names no file or folder; say LABEL=PATH")
        return label, Path(path)
    if equals and not Path(argument).exists():
        raise SourceError(f"{printable(argument)}: {label!r} is not a label; {_LABELS_ARE}")
    return "", Path(argument)


def _prove(label: str, path: Path) -> None:
    shown = printable(str(path))
    if not path.exists():
        raise SourceError(f"{shown}: there is no such file or folder")
    if label or path.suffix == ".jsonl":
        return
    if not path.is_dir():
        raise SourceError(f"{shown}: its mails have no label; say LABEL={shown} ({_LABELS_ARE})")
    folders, files = _entries(path)
    if not any(folder.name in LABELS for folder in folders):
        raise SourceError(
            f"{shown}: has no folder that is named after a label; name them {', '.join(LABELS)}, "
            f"or say LABEL={shown}"
        )
    for entry in folders:
        if entry.name not in LABELS:
            raise SourceError(f"{printable(str(entry))}: {entry.name!r} is no label; {_LABELS_ARE}")
    for entry in files:
        raise SourceError(f"{printable(str(entry))}: lies beside the labels, so it has none")


def _entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders, and files that could be mails, in the order of their names."""
    entries = sorted(path for path in folder.iterdir() if not _NO_MAIL.match(path.name))
    return [e for e in entries if e.is_dir()], [e for e in entries if not e.is_dir()]


def _labelled_folders(folder: Path) -> Iterator[Mail]:
    for part in _entries(folder)[0]:
        yield from _read(part, folder, part.name)


def _read(path: Path, root: Path, label: str) -> Iterator[Mail]:
    """The mails at ``path``, named as seen from ``root``; a two-letter folder is a language."""
    for found in read_all([str(path)]):
        place = Path(found.source)
        below = place.relative_to(path).parts if path.is_dir() else ()
        spoken = len(below) > 1 and _LANGUAGE.fullmatch(below[0])
        yield Mail(
            name=printable(place.relative_to(root).as_posix() if path.is_dir() else place.name),
            label=label,
            language=below[0] if spoken else UNKNOWN,
            content=_with_header(found.content) if place.suffix == ".txt" else found.content,
            fault=found.fault,
        )


def _with_header(content: bytes) -> bytes:
    """A text file that begins without a mail's header is a body: it gets an empty header."""
    end, _ = header.body_range(content, 0, len(content))
    if _MAIL_FIELDS & {name for name, _ in header.fields(content[:end])}:
        return content
    return b"\r\n" + content


def _json_lines(path: Path, label: str) -> Iterator[Mail]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                told = json.loads(line)
                yield _from_object(told, f"{printable(path.name)}#{number}", label)
            except (ValueError, RecursionError) as error:  # JSON's and Unicode's faults are such
                why = str(error) if isinstance(error, _ObjectFault) else f"not JSON ({error})"
                raise SourceError(f"{printable(str(path))}, line {number}: {why}") from error


class _ObjectFault(ValueError):
    """A line is JSON, but no labelled mail."""


def _from_object(told: Any, name: str, label: str) -> Mail:
    if not isinstance(told, dict):
        raise _ObjectFault("must be an object with label, subject and body, or label and content")
    own = _text(told, "label") or label
    if own not in LABELS:
        raise _ObjectFault(f"{own!r} is not a label; {_LABELS_ARE}" if own else "has no label")
    if label and own != label:
        raise _ObjectFault(f"is labelled {own}, but all of this source is said to be {label}")
    return Mail(name, own, printable(_text(told, "lang")) or UNKNOWN, _content(told))


def _content(told: dict[str, Any]) -> bytes:
    """The whole mail that an object holds, or one made of its subject and body."""
    whole = _text(told, "content") or _text(told, "raw")
    if whole:
        return as_content(_octets(whole))
    if "body" not in told and "subject" not in told:
        raise _ObjectFault("has neither subject and body nor content")
    subject = b"Subject: " + _octets(" ".join(_text(told, "subject").split())) + b"\r\n"
    return subject + _TEXT_HEADER + b"\r\n" + as_content(_octets(_text(told, "body")))


def _text(told: dict[str, Any], key: str) -> str:
    value = told.get(key)
    if value is not None and not isinstance(value, str):
        raise _ObjectFault(f"{key} must be a text")
    return value or ""


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # JSON can hold halves of surrogate pairs


def printable(text: str) -> str:
    """No control character of a file's name reaches a terminal, and all of it can be written."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

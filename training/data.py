"""The corpus as data: one example a mail, from ``<label>/<language>/<theme>/*.eml``."""

from __future__ import annotations

import email.utils
import hashlib
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milter.errors import CoopError
from milter.mail import header
from milter.mail.folder import as_content
from milter.spam.bundle import LABELS
from training.spool import Kept, Spool, octets_of

#: What the names of the owner's corrections begin with.
FEEDBACK = "feedback/"


class CorpusError(CoopError):
    """The corpus cannot be learned from; the text says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled mail. ``group`` is its theme: mails of one theme are siblings.

    ``octets``: the mail, or where it is put aside. ``latest``: no later day is believed of it,
    whatever its Date field says.
    """

    name: str
    label: str
    language: str
    group: str
    octets: bytes | Kept
    latest: date | None = None

    @property
    def content(self) -> bytes:
        """The mail, with CRLF lines; asked for again where it is needed again."""
        return octets_of(self.octets)

    @property
    def is_feedback(self) -> bool:
        """Whether the owner filed it; the others are written ones of the corpus."""
        return self.name.startswith(FEEDBACK)

    @property
    def writer(self) -> str:
        """Who wrote it: the first part of the file's name."""
        return Path(self.name).name.partition("-")[0]

    @property
    def key(self) -> str:
        """Of a correction, what it is known by."""
        return self.name.rpartition("/")[2]

    @property
    def day(self) -> date | None:
        """The day of the mail, if it tells one that can be read."""
        told = self._told_day()
        return min(told, self.latest) if told and self.latest else told

    def _told_day(self) -> date | None:
        content = self.content
        for name, value in header.fields(content[: header.end_of_header(content)]):
            if name == b"date":
                try:
                    return email.utils.parsedate_to_datetime(
                        value.decode("ascii", "replace")
                    ).date()
                except (ValueError, TypeError, IndexError, OverflowError):  # anybody wrote it
                    return None
        return None


def read_corpus(folder: Path) -> list[Example]:
    """All mails below ``folder``, in the order of their names, so that each run sees the same.

    They are read once and put aside: nobody can change them while they are learned from.
    """
    if not folder.is_dir():
        raise CorpusError(f"there is no corpus folder {folder}")
    spool = Spool()
    examples = [_read(path, folder, spool) for path in _mails(folder, 3)]
    for label in LABELS:
        if not any(example.label == label for example in examples):
            raise CorpusError(
                f"{folder / label}: no mail; a model needs all of {', '.join(LABELS)}"
            )
    return examples


def _mails(folder: Path, levels: int) -> Iterator[Path]:
    """The mails so many folders below one, in the order of their names."""
    try:
        there = sorted(folder.iterdir())
    except OSError as error:
        raise CorpusError(f"{folder}: {error.strerror}") from error
    for path in there:
        if levels and path.is_dir():
            yield from _mails(path, levels - 1)
        elif not levels and path.suffix == ".eml":
            yield path


def _read(path: Path, folder: Path, spool: Spool) -> Example:
    name = path.relative_to(folder)
    label, language, theme = map(sys.intern, name.parts[:3])
    if label not in LABELS:
        raise CorpusError(f"{path}: {label!r} is not a label; labels are {', '.join(LABELS)}")
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    group = sys.intern(f"{label}/{theme}")
    return Example(name.as_posix(), label, language, group, spool.keep(as_content(octets)))


def digest(examples: list[Example]) -> str:
    """SHA-256 over every mail with its label, whatever their order."""
    lines = sorted(mark(example) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def mark(example: Example) -> str:
    """What tells a labelled mail from all others: the SHA-256 of its content, and its label."""
    return f"{hashlib.sha256(example.content).hexdigest()} {example.label}"


def from_feedback(examples: list[Example]) -> NDArray[np.bool_]:
    """Which examples are corrections by the owner, (n,)."""
    return np.array([example.is_feedback for example in examples], dtype=bool)


def newest_day(examples: list[Example]) -> date:
    """The day of the newest mail: the data's own date, the same whenever it is learned from."""
    return max((day for example in examples if (day := example.day)), default=date(1970, 1, 1))


@cache
def _mix() -> dict[str, Any]:
    path = Path(__file__).with_name("mix.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def hard_share() -> float:
    """The share of real wanted mail that is a hard case (``mix.toml``)."""
    return float(_mix()["hard_share"])


def hard_cases(examples: list[Example]) -> NDArray[np.bool_]:
    """Which examples, if wanted, are hard cases.

    ``genuine`` ones, and those whose theme or writer is named in the mix.
    """
    themes = {f"none/{theme}" for theme in _mix()["hard_themes"]}
    writers = set(_mix()["hard_writers"])
    return np.array(
        [e.label == "genuine" or e.group in themes or e.writer in writers for e in examples]
    )


def wanted(examples: list[Example]) -> NDArray[np.bool_]:
    """Which examples would be missed if they were held back: not ``fake``, and no spam or fraud."""
    themes = {f"none/{theme}" for theme in _mix()["unwanted_themes"]}
    return np.array([e.label != "fake" and e.group not in themes for e in examples])

"""The corpus as data: one example a mail, from ``<label>/<language>/<theme>/*.eml``."""

from __future__ import annotations

import email.utils
import hashlib
import tomllib
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


class CorpusError(CoopError):
    """The corpus cannot be learned from; the text says why."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled mail. ``group`` is its theme: mails of one theme are siblings."""

    name: str
    label: str
    language: str
    group: str
    content: bytes

    @property
    def day(self) -> date | None:
        """The day in its Date field, if there is one that can be read."""
        for name, value in header.fields(self.content[: header.end_of_header(self.content)]):
            if name == b"date":
                try:
                    return email.utils.parsedate_to_datetime(
                        value.decode("ascii", "replace")
                    ).date()
                except ValueError:
                    return None
        return None


def read_corpus(folder: Path) -> list[Example]:
    """All mails below ``folder``, in the order of their names, so that each run sees the same."""
    if not folder.is_dir():
        raise CorpusError(f"there is no corpus folder {folder}")
    examples = [_read(path, folder) for path in sorted(folder.glob("*/*/*/*.eml"))]
    for label in LABELS:
        if not any(example.label == label for example in examples):
            raise CorpusError(
                f"{folder / label}: no mail; a model needs all of {', '.join(LABELS)}"
            )
    return examples


def _read(path: Path, folder: Path) -> Example:
    name = path.relative_to(folder)
    label, language, theme = name.parts[:3]
    if label not in LABELS:
        raise CorpusError(f"{path}: {label!r} is not a label; labels are {', '.join(LABELS)}")
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    return Example(name.as_posix(), label, language, f"{label}/{theme}", as_content(octets))


def digest(examples: list[Example]) -> str:
    """SHA-256 over every mail with its label, whatever their order."""
    lines = sorted(
        f"{hashlib.sha256(example.content).hexdigest()} {example.label}" for example in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


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
    """Which examples, if wanted, are hard cases: ``genuine`` ones, and themes named in the mix."""
    themes = {f"none/{theme}" for theme in _mix()["hard_themes"]}
    return np.array([e.label == "genuine" or e.group in themes for e in examples])

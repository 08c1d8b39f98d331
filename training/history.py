"""Which bundles were in use before: ``history``, a line for each, the newest last.

A line is a version and when it was published. The file is written before ``current`` names the
bundle, so after a crash it may know of one that never came into use, or no longer know the one in
use; what lies behind the last line of the current one does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from milter import durable

#: A file of this name in a bundle's folder keeps the bundle there. One that a filter's settings
#: name (``[model] version``) needs it, for whoever learns does not know these settings.
KEPT = "keep"
# More than anybody goes back.
_LINES = 1000


@dataclass(frozen=True, slots=True)
class Published:
    """A bundle that came into use, and when (UTC, ISO 8601; empty where nobody wrote it down)."""

    version: str
    when: str = ""

    @classmethod
    def now(cls, version: str) -> Published:
        """Of a bundle that comes into use now."""
        return cls(version, datetime.now(UTC).isoformat(timespec="seconds"))


def current(models: Path) -> str:
    """The version in use; empty where none is."""
    try:
        return (models / "current").read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        return ""


def trail(models: Path) -> list[Published]:
    """The bundles that came into use one after the other and are still there, the current last."""
    in_use = current(models)
    there = [line for line in _lines(models) if _is_there(models, line.version)]
    lines = [line for line, next_ in zip_longest(there, there[1:]) if not _same(line, next_)]
    places = [place for place, line in enumerate(lines) if line.version == in_use]
    if places:
        return lines[: places[-1] + 1]
    return [*lines, Published(in_use)] if in_use else lines


def predecessor(models: Path) -> str:
    """The version that was in use before the current one; empty where none is known."""
    lines = trail(models)
    return lines[-2].version if len(lines) > 1 else ""


def write_trail(models: Path, lines: list[Published]) -> None:
    """Write the file anew, in one step."""
    text = "".join(f"{line.version} {line.when}".rstrip() + "\n" for line in lines[-_LINES:])
    durable.replace(models / "history", text.encode("utf-8"), 0o644)


def _lines(models: Path) -> list[Published]:
    try:
        text = (models / "history").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [Published(*line.split()[:2]) for line in text.splitlines() if line.strip()]


def _same(line: Published, next_: Published | None) -> bool:
    """Whether what was between the two is there no longer."""
    return next_ is not None and line.version == next_.version


def _is_there(models: Path, version: str) -> bool:
    return (models / version / "bundle.json").exists()

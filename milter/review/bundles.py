"""The models as the page tells of them: which is in use, its figures, which were before, and back.

Learning is not part of the filter: rolling back is its command, run as another process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from milter.errors import BundleError
from milter.spam.bundle import folder_of

#: The report of the last retrain, where coop-train retrain writes it: beside the bundles.
REPORT = "retrain.html"
_LAST = "retrain.json"
# Seconds that a rollback may take; it proves one bundle.
_PATIENCE = 120.0
# Octets of a file that is read here; all are some hundred kilobytes.
_MOST = 16 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A model that came into use, and when (UTC, ISO 8601; empty where nobody wrote it down)."""

    version: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """``count`` of ``mails``, and the share that it is at most, with 95 % certainty."""

    count: int
    mails: int
    high: float


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the fakes of a language that the model had not seen."""

    language: str
    mails: int
    fake: int
    unsure: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How a model did on mail that it had not seen, by its manifest."""

    mails: int
    corrections: int
    everyday: Tally
    hard: Tally
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Last:
    """How the last retrain ended, and why it was refused, if it was."""

    outcome: str
    version: str
    refusals: tuple[str, ...]


def current(models: Path, version: str) -> str:
    """The version in use; empty where none can be told."""
    try:
        return folder_of(models, version).name
    except BundleError:
        return ""


def figures(models: Path, version: str) -> Figures | None:
    """The figures of a model; None where it came without, or with others."""
    told = _json(models / version / "manifest.json")
    try:
        outside = told["out_of_fold"]
        wanted = outside["wanted_called_fake"]
        return Figures(
            mails=int(told["data"]["mails"]),
            corrections=int(outside.get("feedback", {}).get("mails", 0)),
            everyday=_tally(wanted["everyday"]),
            hard=_tally(wanted["hard"]),
            found=tuple(_found(*entry) for entry in sorted(outside["by_language"].items())),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def trail(models: Path, version: str) -> list[Published]:
    """The models that came into use one after the other and are still there, this one last."""
    lines = [line.split()[:2] for line in _text(models / "history").splitlines() if line.strip()]
    there = [Published(*line) for line in lines if (models / line[0] / "bundle.json").exists()]
    once = [line for line, next_ in pairwise([*there, None]) if line and line.version != _of(next_)]
    places = [place for place, line in enumerate(once) if line.version == version]
    return once[: places[-1] + 1] if places else [*once, Published(version)]


def last_retrain(models: Path) -> Last | None:
    """How the last retrain ended; None where nobody knows."""
    told = _json(models / _LAST)
    try:
        refusals = tuple(map(str, told["refusals"]))
        return Last(str(told["outcome"]), str(told["version"]), refusals)
    except (KeyError, TypeError):
        return None


def can_roll_back() -> bool:
    """Whether learning is installed here."""
    return importlib.util.find_spec("training") is not None


async def roll_back(models: Path) -> tuple[bool, str]:
    """Run coop-train rollback (``models``: an absolute path); whether it did it, and its words."""
    spec = importlib.util.find_spec("training")
    assert spec, "asked only where learning is installed"
    assert spec.origin, "learning is a package of files"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "training", "rollback", "--models", str(models)),
        cwd=Path(spec.origin).parents[1],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_PATIENCE):
            told, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return False, f"coop-train rollback did not end within {_PATIENCE:.0f} s"
    return process.returncode == 0, told.decode("utf-8", "replace").strip()[-1000:]


def _of(line: Published | None) -> str:
    return line.version if line else ""


def _tally(told: Any) -> Tally:
    return Tally(int(told["count"]), int(told["mails"]), float(told["high"]))


def _found(language: str, told: Any) -> Found:
    fakes = told["fake"]
    return Found(str(language), int(fakes["mails"]), int(fakes["fake"]), int(fakes["unsure"]))


def _json(path: Path) -> Any:
    """The object in a file; an empty one where there is none that can be read."""
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError):
        return {}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8", "replace")
    except OSError:
        return ""

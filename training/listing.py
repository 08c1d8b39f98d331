"""The bundles of a models folder, as ``coop-train list`` shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from milter.errors import BundleError
from milter.spam.proof import open_proved
from training.history import KEPT, current, predecessor, trail


@dataclass(frozen=True, slots=True)
class Listed:
    """One bundle. ``state`` is current, previous, kept (``history.KEPT``) or empty; ``fault`` says
    why it cannot be used.

    ``when`` it came into use last (UTC), ``mails`` it has learned from, and ``wanted``: how many
    wanted mails were called fake of how many, by models that had not seen them; empty or None
    where nobody wrote it down.
    """

    version: str
    state: str
    when: str
    mails: int | None
    wanted: tuple[int, int] | None
    fault: str


def listed(models: Path) -> list[Listed]:
    """All bundles by name, so by the day of what they have learned; one that is current and not
    there, too. Raises ``BundleError`` where there is no such folder.
    """
    if not models.is_dir():
        raise BundleError(f"{models}: there is no such folder")
    in_use, when = current(models), {line.version: line.when for line in trail(models)}
    states = {path.parent.name: "kept" for path in models.glob(f"*/{KEPT}")}
    states |= {predecessor(models): "previous", in_use: "current"}
    names = {path.name for path in models.iterdir() if path.is_dir()} | {in_use}
    return [
        _listed(models / name, states.get(name, ""), when.get(name, ""))
        for name in sorted(names)
        if name and not name.startswith(".")
    ]


def _listed(folder: Path, state: str, when: str) -> Listed:
    manifest = _manifest(folder)
    mails = manifest.get("data", {}).get("mails")
    kinds = manifest.get("out_of_fold", {}).get("wanted_called_fake", {}).values()
    wanted = (sum(kind["count"] for kind in kinds), sum(kind["mails"] for kind in kinds))
    return Listed(folder.name, state, when, mails, wanted if kinds else None, _fault(folder))


def _manifest(folder: Path) -> dict[str, Any]:
    """What is told of how it was made; a bundle is a bundle without it."""
    try:
        return dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _fault(folder: Path) -> str:
    try:
        open_proved(folder)
    except BundleError as error:
        return str(error)
    return ""

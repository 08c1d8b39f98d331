"""The last retrain, in ``retrain.json`` beside the bundles: so that a timer tries nothing twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from milter import durable

_NAME = "retrain.json"


@dataclass(frozen=True, slots=True)
class Last:
    """``given``: a digest of what it was given; how it ended; ``version``: the model in use then.

    ``refusals``: why the gate held the candidate back, a sentence each.
    """

    given: str
    outcome: str
    version: str
    refusals: tuple[str, ...]


def remember(models: Path, last: Last) -> None:
    """Write it down, in one step."""
    text = json.dumps(asdict(last), indent=1) + "\n"
    durable.replace(models / _NAME, text.encode(), 0o644)


def recall(models: Path) -> Last | None:
    """What was written down; None where nothing was, or what cannot be read."""
    try:
        told = json.loads((models / _NAME).read_text(encoding="utf-8"))
        refusals = tuple(map(str, told["refusals"]))
        return Last(str(told["given"]), str(told["outcome"]), str(told["version"]), refusals)
    except (OSError, ValueError, KeyError, TypeError):
        return None

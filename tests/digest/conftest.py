"""A quarantine, and what digests have told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from milter.digest.memory import Memory
from milter.quarantine.store import Quarantine


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    made = Quarantine(tmp_path / "quarantine")
    made.prepare()
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Memory:
    made = Memory(tmp_path / "review")
    with made.alone():
        return made

"""An empty quarantine for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from milter.quarantine.store import Quarantine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "quarantine"


@pytest.fixture
def quarantine(folder: Path) -> Quarantine:
    quarantine = Quarantine(folder)
    quarantine.prepare()
    return quarantine

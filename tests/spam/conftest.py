"""What the tests of the shelf ``spam`` share."""

from __future__ import annotations

from pathlib import Path

import pytest
from spam.tiny import write_bundle

from milter.spam.bundle import Bundle, open_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny bundle, opened."""
    folder: Path = tmp_path_factory.mktemp("models") / "tiny"
    return open_bundle(write_bundle(folder))

"""Fixtures of the tests that retrain: a corpus, a model of it in use, some feedback.

Used by ``pytest_plugins = ["learning.fixtures"]``; a test file may replace any of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from learning.retraining import file_pitches, make_corpus, make_models


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A part of the corpus; nobody may change it."""
    return make_corpus(tmp_path_factory.mktemp("data") / "corpus")


@pytest.fixture(scope="module")
def untouched(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the model of the corpus in use; nobody may change it."""
    return make_models(tmp_path_factory.mktemp("data") / "models", corpus)


@pytest.fixture
def models(untouched: Path, tmp_path: Path) -> Path:
    """The same, for one test alone."""
    return shutil.copytree(untouched, tmp_path / "models")


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    """Six siblings of a pitch, filed as fake."""
    return file_pitches(tmp_path / "feedback", range(6))

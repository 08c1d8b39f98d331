"""What several tests with real servers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from harness.browser import Chromium, running_chromium


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One browser for all tests; each opens contexts of its own in it."""
    with running_chromium() as browser:
        yield browser

"""A fault that lasts is told once a minute, not once a mail."""

from __future__ import annotations

import logging
import time
from pathlib import Path

_QUIET = 60.0  # seconds between two lines


class Complaint:
    """A line for ``log``; ``text`` has a %s for ``folder`` and one for what is wrong with it."""

    def __init__(self, log: logging.Logger, text: str, folder: Path) -> None:
        self._log = log
        self._text = text
        self._folder = folder
        self._quiet_until = 0.0

    def tell(self, error: Exception) -> None:
        """Say it, unless that was done just now."""
        if time.monotonic() < self._quiet_until:
            return
        self._quiet_until = time.monotonic() + _QUIET
        reason = error.strerror if isinstance(error, OSError) else error
        self._log.error(self._text, self._folder, reason)

    def over(self) -> None:
        """The fault is gone: the next one is told at once."""
        self._quiet_until = 0.0

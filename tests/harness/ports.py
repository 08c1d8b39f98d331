"""Free ports on loopback, and waiting for what comes up on them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

PATIENCE = 30.0  # seconds; generous, because a loaded machine is no reason to fail


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for ``condition``; fails with ``what`` did not happen."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE:.0f} s in vain: {what}"
        time.sleep(0.05)


def listens(port: int) -> bool:
    """Whether somebody answers on ``port``."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False

"""A real filter in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.ports import free_port, listens, wait_until


@dataclass(frozen=True)
class RunningFilter:
    """Its port, its folder (working directory), its process."""

    port: int
    folder: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        return (self.folder / "log").read_text()

    def mails(self) -> list[bytes]:
        """What lies in its Maildir, oldest first."""
        return [path.read_bytes() for path in sorted((self.folder / "var/mail/new").glob("*"))]


@contextmanager
def running_filter(
    folder: Path, settings: str = "", *arguments: str, port: int = 0
) -> Iterator[RunningFilter]:
    """Run ``coop-verdict serve`` in ``folder`` with the TOML ``settings`` until the block ends."""
    port = port or free_port()
    config = folder / "coop.toml"
    config.write_text(settings)
    command = [sys.executable, "-m", "milter", "serve", "--config", str(config)]
    command += ["--listen", f"127.0.0.1:{port}", *arguments]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, text=True)
    running = RunningFilter(port, folder, process)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, f"filter: {running.log}")
        assert process.poll() is None, running.log
        yield running
    finally:
        process.terminate()
        process.wait(timeout=60)

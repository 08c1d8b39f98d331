"""What is compared: how each filter is started on loopback, with ports and folders of its own.

Every peer is as its makers ship it, but for what would ask the network, and learns the same mails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.throughput.messages import Mails
from bench.throughput.processes import low_port, started
from harness.filter import running_filter

OURS = "coop-verdict"
HERE = Path(__file__).resolve().parent
PACKAGES = "rspamd redis-server spamassassin spamc spampd bogofilter"
INSTALL = f"apt-get install --no-install-recommends {PACKAGES}"
# All that a site has switched on: the journal is, by default; METRICS are, on a port of their own.
# Sessions: 500 senders at once, and some more, must not meet the limit in place of the filter.
SETTINGS = '[filter]\narrangement = "before-queue"\n[limits]\nsessions = 1000\n'
METRICS = '[metrics]\nlisten = "127.0.0.1:{port}"\n'


@dataclass(frozen=True)
class Place:
    """``folder``: for this run; ``kept``: for what takes long to make; the mails."""

    folder: Path
    kept: Path
    mails: Mails

    def own(self, name: str) -> Path:
        """A new folder for one process."""
        folder = self.folder / f"{name.replace(' ', '-').replace(',', '')}-{low_port()}"
        folder.mkdir(mode=0o755)
        return folder


@dataclass(frozen=True)
class Running:
    """A filter that runs: where mail goes in, and its processes. ``milter``: a Unix socket."""

    port: int
    processes: tuple[int, ...]
    http: bool = False
    milter: str = ""


class Peer(Protocol):
    """A filter that serves."""

    name: str

    def missing(self) -> str:
        """Debian packages that it lacks."""
        ...

    def running(
        self, place: Place, next_hop: int, workers: int = 1
    ) -> AbstractContextManager[Running]:
        """Started, with ``next_hop`` a port of this machine behind it, until the block ends."""
        ...


class Ours:
    """This filter: complete verdict, strict wire, log line, index and metrics."""

    name = OURS

    def __init__(self, settings: str = SETTINGS + METRICS) -> None:
        self._settings = settings

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, place: Place, next_hop: int, workers: int = 1) -> Iterator[Running]:
        options = ["--next-hop", f"127.0.0.1:{next_hop}", "--workers", str(workers)]
        folder = place.own(f"ours-{workers}")
        settings = self._settings.replace("{port}", str(low_port()))
        with running_filter(folder, settings, *options, port=low_port()) as filter_:
            yield Running(filter_.port, (filter_.process.pid,))


class Plain:
    """The plainest aiosmtpd proxy: stock aiosmtpd and aiosmtplib, in a virtualenv of its own.

    ``judging``: with what comes to mind first, the email package and scikit-learn.
    """

    def __init__(self, judging: bool = False) -> None:
        self._judging = judging
        self.name = "plain proxy, judging" if judging else "plain proxy"

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, place: Place, next_hop: int, workers: int = 1) -> Iterator[Running]:
        assert workers == 1, "the plainest thing has one process"
        port = low_port()
        command: list[str | Path] = [
            python_of_peers(place.kept),
            HERE / "naive.py",
            "--port",
            str(port),
        ]
        command += ["--next-hop", str(next_hop)]
        if self._judging:
            command += ["--learn", str(place.mails.folder)]
        folder = place.own(self.name)
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with started(command, folder / "log", [port], one) as process:
            yield Running(port, (process.pid,))


def python_of_peers(kept: Path) -> Path:
    """The Python of a virtualenv with what peers in Python need, made when first asked for."""
    needed = HERE / "requirements.txt"
    done = kept / "venv" / "installed"
    python = kept / "venv" / "bin" / "python"
    if not done.exists() or done.read_text() != needed.read_text():
        print(f"setting up {kept / 'venv'} for peers in Python (once) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", kept / "venv"], check=True)
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, "--requirement", needed], check=True)
        done.write_text(needed.read_text())
    return python


def read_json(command: list[str | Path], environment: dict[str, str]) -> dict[str, float]:
    """What a script of ours prints as its last line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer

"""Processes of the benchmarks' own: started on free ports, ended by their own process id."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from harness.ports import listens, wait_until

# Below the ports that the system gives to connections (32768 and above), where a listener that is
# started late collides by chance with a client that was there first.
_PORTS = range(20000, 32000)
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def low_port() -> int:
    """A port below the ephemeral ones that nobody listens on now."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def missing(programs: Mapping[str, str]) -> str:
    """Of ``{program: Debian package}`` the packages whose program is not there."""
    absent = {package for name, package in programs.items() if not shutil.which(name, path=_SBIN)}
    return " ".join(sorted(absent))


@contextmanager
def started(
    command: Sequence[str | Path],
    log: Path,
    ports: Collection[int] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` until the block ends; the block begins when it listens on all ``ports``."""
    settings = os.environ | {"PATH": _SBIN} | dict(environment or {})
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=settings)
    try:
        wait_until(lambda: process.poll() is not None or all(map(listens, ports)), f"{command}")
        assert process.poll() is None, f"{command[0]} has ended: {log.read_text()[-500:]}"
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(command: Sequence[str | Path], text: str = "") -> str:
    """Run ``command`` to its end; what it writes. Fails with what it complains of."""
    settings = os.environ | {"PATH": _SBIN, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=settings)
    assert not done.returncode, f"{command[0]}: {(done.stderr or done.stdout).strip()[-500:]}"
    return done.stdout


@contextmanager
def running_sink(log: Path) -> Iterator[tuple[int, int]]:
    """Postfix's smtp-sink, which takes everything and keeps nothing: its port and process.

    -m: beyond 256 sessions it would accept no more, and idle ones that a filter keeps count.
    """
    port = low_port()
    command = ["smtp-sink", "-m", "4000", "-u", "nobody", f"127.0.0.1:{port}", "1000"]
    with started(command, log, [port]) as sink:
        yield port, sink.pid

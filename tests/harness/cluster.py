"""A Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE = 60
# Without a nanny, so that a worker that is killed stays dead; then nobody sets this but us.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


@dataclass
class RunningCluster:
    """``url`` of the scheduler, its process and those of its workers."""

    url: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]

    def await_work(self, name: str) -> None:
        """Wait until workers have calls of the function ``name`` by joblib's hand."""
        from distributed import Client

        deadline = time.monotonic() + _PATIENCE
        with Client(self.url, timeout=_PATIENCE, set_as_default=False) as client:
            while time.monotonic() < deadline:
                calls = [str(call) for calls in client.processing().values() for call in calls]
                if any(name in call for call in calls):
                    return
                time.sleep(0.01)
        raise AssertionError(f"nobody calls {name}")

    def kill(self, part: str) -> None:
        """End the ``scheduler``, or all ``workers``, as a loss of power does."""
        for process in [self.scheduler] if part == "scheduler" else self.workers:
            process.kill()
            process.wait()


@contextmanager
def running_cluster(folder: Path, workers: int, **environment: str) -> Iterator[RunningCluster]:
    """Start a cluster; all of it is gone afterwards."""
    told = folder / "scheduler.json"
    common = ["--scheduler-file", str(told)]
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_start(folder, "scheduler", [*common, "--port", "0", "--no-dashboard"], {}))
        url = str(_address(told))
        for number in range(workers):
            options = [*common, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            options += ["--local-directory", str(folder / str(number))]
            started.append(_start(folder, "worker", options, _ONE_THREAD | environment))
        _await_workers(url, workers)
        yield RunningCluster(url, started[0], started[1:])
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _start(
    folder: Path, what: str, options: list[str], more: dict[str, str]
) -> subprocess.Popen[bytes]:
    code = "import sys; from dask.__main__ import main; sys.exit(main())"
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", code, what, "--host", "127.0.0.1", *options],
            cwd=folder,
            env=os.environ | more,
            stdout=log,
            stderr=log,
        )


def _address(told: Path) -> Any:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError, ValueError):
            return json.loads(told.read_text())["address"]
        time.sleep(0.1)
    raise AssertionError("the scheduler does not start; dask.log says why")


def _await_workers(url: str, number: int) -> None:
    from distributed import Client

    with Client(url, timeout=_PATIENCE, set_as_default=False) as client:
        if number:
            client.wait_for_workers(number, timeout=_PATIENCE)

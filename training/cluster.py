"""A Dask cluster that is there already: connected to, proved, and watched while it works.

Dask waits without end for a worker to come when the last one has gone, which is right where workers
come and go, and wrong in a nightly job that nobody looks at. So a watch gives the work up after a
while, and every way to lose a cluster ends in ``ClusterError`` with a sentence.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_info

from milter.errors import CoopError
from training.versions import versions

# Seconds in which the scheduler has to answer; it is in the same network.
CONNECT = 10
# Seconds without a worker after which the work is given up. A nanny has a new one there in three.
_ALONE = 15
# Seconds in which the scheduler has heard of a worker that was lost.
_HEARS = 5
# Seconds between two looks at who is there.
_LOOK = 1


class ClusterError(CoopError):
    """The cluster cannot do the work; the text says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster; ``client`` is a ``distributed.Client``, ``url`` its scheduler's address."""

    url: str
    client: Any

    def workers(self) -> int:
        """How many workers there are; none where the scheduler does not answer."""
        client = self.client
        scheduler = client.scheduler  # None once the client has been closed
        if client.status != "running" or scheduler is None:
            return 0
        try:
            return len(client.sync(scheduler.ncores, callback_timeout=CONNECT))
        except OSError:
            return 0
        except lost():
            return 0

    def fault(self, error: BaseException) -> ClusterError:
        """What to say where the work has ended with ``error``."""
        if self.client.status != "running":
            what = "the scheduler is gone, or the way to it"
        elif not self._stays():
            what = "no worker is left that answers"
        else:
            what = f"the work was not done ({named(error)})"
        return ClusterError(
            f"{self.url}: {what}; nothing has been changed, try again when it is well"
        )

    def _stays(self) -> bool:
        """Whether a worker is there all the time: of a lost one the scheduler hears a bit late."""
        until = time.monotonic() + _HEARS
        while there := self.workers():
            if time.monotonic() > until:
                break
            time.sleep(_LOOK / 4)
        return bool(there)

    @contextmanager
    def watched(self, parallel: Any) -> Iterator[None]:
        """Have a ``joblib.Parallel`` raise TimeoutError once no worker has been there for long."""
        done = threading.Event()

        def watch() -> None:
            seen = time.monotonic()
            while not done.wait(_LOOK):
                if self.workers():
                    seen = time.monotonic()
                elif time.monotonic() - seen > _ALONE:
                    parallel.timeout = 0  # joblib looks at it each time it asks for a part
                    return

        thread = threading.Thread(target=watch, name="cluster-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


class Spreading:
    """A client that gives each worker its copy by itself: one that dies meanwhile goes without.

    By the client's own way the scheduler would try for ever to give that one its copy. All else is
    the client's own.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def scatter(self, data: Any, *, broadcast: bool = False, **options: object) -> Any:
        """As the client's own; raises what the last worker failed by where none has its copy."""
        if not broadcast:
            return self._client.scatter(data, **options)
        named = {f"shared-{uuid.uuid4().hex}": item for item in data}
        # A KeyError is the scheduler's, of a worker that it has struck off its list.
        gone: tuple[type[BaseException], ...] = (OSError, KeyError, *lost())
        spread: list[dict[str, Any]] = []
        fault: BaseException | None = None
        for worker in self._client.ncores():
            try:
                spread.append(self._client.scatter(named, workers=[worker], **options))
            except gone as error:
                fault = error
        if not spread:
            raise fault or TimeoutError("no worker is there")
        return list(spread[0].values())


@contextmanager
def open_cluster(url: str) -> Iterator[Cluster]:
    """Connect to the scheduler at ``url`` (``tcp://host:8786``); raises ``ClusterError``."""
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError(
            "--cluster needs Dask; install it with: pip install 'coop-verdict[cluster]'"
        ) from error
    try:
        client = Client(url, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"{url}: there is no scheduler that answers ({error})") from error
    with _silenced(), client:
        cluster = Cluster(url, client)
        _prove(cluster)
        yield cluster


@contextmanager
def _silenced() -> Iterator[None]:
    """Dask tells of a lost scheduler by a traceback; it is told by ``ClusterError``."""
    log = logging.getLogger("distributed.client")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def lost() -> tuple[type[BaseException], ...]:
    """What says that workers or scheduler are gone; distributed is not there as a rule."""
    found: list[type[BaseException]] = [
        TimeoutError,
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        concurrent.futures.BrokenExecutor,
    ]
    if "distributed" in sys.modules:
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        found += [CommClosedError, KilledWorker]
    return tuple(found)


def named(error: BaseException) -> str:
    """The error's type and text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _prove(cluster: Cluster) -> None:
    """Every worker must be like this machine, or its numbers would be others.

    They are asked in the threads that will work, which is where limits may or may not hold.
    """
    url, client = cluster.url, cluster.client
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    if not workers:
        raise ClusterError(f"{url}: the scheduler has no workers")
    asked = [client.submit(_traits, workers=[worker], pure=False) for worker in workers]
    own = versions() | {_THREADS: "1"}
    for worker, answer in zip(workers, asked, strict=True):
        for name, number in _answer(url, worker, answer).items():
            if number != own[name]:
                raise ClusterError(
                    f"{url}: worker {worker} has {name} {number}, this machine {own[name]}; "
                    "the model would be another one"
                )


def _answer(url: str, worker: str, answer: Any) -> dict[str, str]:
    try:
        told: dict[str, str] = answer.result(timeout=CONNECT)
    except Exception as error:  # whatever is wrong with it: it cannot do the work
        raise ClusterError(
            f"{url}: worker {worker} cannot run coop-verdict ({named(error)}); "
            "install the same version there"
        ) from error
    return told


_THREADS = "threads of linear algebra (OPENBLAS_NUM_THREADS)"


def _traits() -> dict[str, str]:
    """What a worker says of itself."""
    import sklearn.linear_model  # noqa: F401  # brings the libraries whose threads are counted

    threads = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    return versions() | {_THREADS: str(max(threads, default=1))}

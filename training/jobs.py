"""Work side by side: in processes of this machine, or on a Dask cluster that is there already.

Both are joblib's. The parts come back in their order whoever has done them first, so that what is
made of them has the same octets with one process, with eight, and on a cluster.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_info, threadpool_limits

from milter.errors import CoopError

# What gives the numbers: a worker with another version of these would give other octets.
_LIBRARIES = ("numpy", "scikit-learn", "scipy")
_ROOT = Path(__file__).resolve().parents[1]
# Seconds in which the scheduler has to answer; it is in the same network.
_CONNECT = 10
# Seconds that one part may take, many times what the largest of them needs: past it the cluster
# has lost its last worker, and would wait for another one without end.
_PART = 600


class ClusterError(CoopError):
    """The cluster cannot do the work; the text says why."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Dask cluster; ``client`` is a ``distributed.Client``, ``url`` its scheduler's address."""

    url: str
    client: Any


#: A number of processes on this machine (-1: as many as cores), or a cluster.
Jobs: TypeAlias = int | Cluster

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")


def run(
    jobs: Jobs,
    function: Callable[[Shared, Part], Result],
    shared: Shared,
    parts: Sequence[Part],
    threads: bool = False,
) -> Iterator[Result]:
    """``function(shared, part)`` of each part, in their order.

    ``shared`` is what is heavy: it goes to each worker of a cluster once, before the first part,
    so that the death of one does not take it away from the others. Parts must be light.
    ``threads``: on this machine in threads, for work that takes more memory than Python's time.

    Each has one thread for linear algebra. OpenBLAS takes its limit from the thread that has loaded
    it, and from no other one: so it is set here; joblib works here, too, where there is one worker
    only. OpenMP's is each thread's own, and set by whoever needs it.
    """
    if not parts:
        return
    try:
        with threadpool_limits(1, "blas"), _backend(jobs, shared, threads):
            processes = jobs if isinstance(jobs, int) else -1
            limit = None if isinstance(jobs, int) else _PART
            parallel = Parallel(n_jobs=processes, return_as="generator", timeout=limit)
            yield from parallel(delayed(function)(shared, part) for part in parts)
        if isinstance(jobs, int) and jobs != 1 and not threads:
            get_reusable_executor().shutdown()  # they would keep their memory for minutes
    except _lost() as error:
        url = jobs.url if isinstance(jobs, Cluster) else "this machine"
        raise ClusterError(f"{url}: the work was not done ({_named(error)})") from error


def _backend(jobs: Jobs, shared: object, threads: bool) -> AbstractContextManager[Any]:
    if isinstance(jobs, int):
        return parallel_config(backend="threading") if threads else nullcontext()
    heavy = [] if shared is None else [shared]
    found: AbstractContextManager[Any] = parallel_config(
        backend="dask", client=jobs.client, scatter=heavy, wait_for_workers_timeout=_CONNECT
    )
    return found


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _lost() -> tuple[type[BaseException], ...]:
    """What says that workers are gone; distributed is not there as a rule."""
    import asyncio
    import concurrent.futures
    import sys

    lost: list[type[BaseException]] = [
        TimeoutError,
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        concurrent.futures.BrokenExecutor,
    ]
    if "distributed" in sys.modules:
        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        lost += [CommClosedError, KilledWorker]
    return tuple(lost)


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
        client = Client(url, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise ClusterError(f"{url}: there is no scheduler that answers ({error})") from error
    with client:
        _prove(url, client)
        yield Cluster(url, client)


def _prove(url: str, client: Any) -> None:
    """Every worker must be like this machine, or its numbers would be others.

    They are asked in the threads that will work, which is where limits may or may not hold.
    """
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
        told: dict[str, str] = answer.result(timeout=_CONNECT)
    except Exception as error:  # whatever is wrong with it: it cannot do the work
        raise ClusterError(
            f"{url}: worker {worker} cannot run coop-verdict ({_named(error)}); "
            "install the same version there"
        ) from error
    return told


_THREADS = "threads of linear algebra (OPENBLAS_NUM_THREADS)"


def _traits() -> dict[str, str]:
    """What a worker says of itself."""
    import sklearn.linear_model  # noqa: F401  # brings the libraries whose threads are counted

    threads = [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]
    return versions() | {_THREADS: str(max(threads, default=1))}


def versions() -> dict[str, str]:
    """What decides the numbers that a machine comes to."""
    libraries = {name: _version(name) for name in _LIBRARIES}
    return {"Python": platform.python_version(), "code": _code()} | libraries


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _code() -> str:
    """A digest of the files that read a mail and learn from it, their lists of words included."""
    digest = hashlib.sha256()
    for folder in ("milter/mail", "milter/spam", "training"):
        for path in sorted((_ROOT / folder).glob("**/*.[pt][yo]*")):
            if path.suffix in (".py", ".toml") and "corpus" not in path.parts:
                digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]

"""Work side by side: in processes of this machine, or on a Dask cluster that is there already.

Both are joblib's. The parts come back in their order whoever has done them first, so that what is
made of them has the same octets with one process, with eight, and on a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeAlias, TypeVar

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

from training.cluster import CONNECT, Cluster, ClusterError, Spreading, lost, named

# Seconds that one part may take on a cluster, many times what the largest of them needs: past it
# its worker hangs.
_PART = 600

#: A number of processes on this machine (-1: as many as cores), or a cluster.
Jobs: TypeAlias = int | Cluster

Shared = TypeVar("Shared")
Part = TypeVar("Part")
Result = TypeVar("Result")


def run(
    jobs: Jobs,
    function: Callable[[Shared, Part], Result],
    shared: Shared,
    parts: Iterable[Part],
    threads: bool = False,
) -> Iterator[Result]:
    """``function(shared, part)`` of each part, in their order.

    ``shared`` is what is heavy: it goes to each worker of a cluster once, before the first part,
    so that the death of one does not take it away from the others. Parts must be light; they are
    asked for when there is a process for them.
    ``threads``: on this machine in threads, for work that takes more memory than Python's time.

    Each has one thread for linear algebra. OpenBLAS takes its limit from the thread that has loaded
    it, and from no other one: so it is set here; joblib works here, too, where there is one worker
    only. OpenMP's is each thread's own, and set by whoever needs it.
    """
    ahead = iter(parts)
    try:
        first = next(ahead)
    except StopIteration:
        return
    calls = (delayed(function)(shared, part) for part in chain([first], ahead))
    with threadpool_limits(1, "blas"):
        if isinstance(jobs, Cluster):
            yield from _on_cluster(jobs, shared, calls)
        else:
            yield from _here(jobs, threads, calls)


def _here(jobs: int, threads: bool, calls: Iterator[Any]) -> Iterator[Any]:
    chosen: AbstractContextManager[Any] = nullcontext()
    if threads:
        chosen = parallel_config(backend="threading")
    try:
        with chosen:
            yield from Parallel(n_jobs=jobs, return_as="generator")(calls)
    except lost() as error:
        raise ClusterError(f"this machine: the work was not done ({named(error)})") from error
    if jobs != 1 and not threads:
        get_reusable_executor().shutdown()  # they would keep their memory for minutes


def _on_cluster(cluster: Cluster, shared: object, calls: Iterator[Any]) -> Iterator[Any]:
    heavy = [] if shared is None else [shared]
    try:
        client = Spreading(cluster.client)
        with parallel_config(
            backend="dask", client=client, scatter=heavy, wait_for_workers_timeout=CONNECT
        ):
            parallel = Parallel(n_jobs=-1, return_as="generator", timeout=_PART)
            with cluster.watched(parallel):
                yield from parallel(calls)
    except Exception as error:
        if isinstance(error, lost()) or not cluster.workers():
            raise cluster.fault(error) from error
        raise

"""What processes take, from /proc (proc(5)): processor time, memory; and what anybody else does.

A process counts with all below it. Times are in seconds, memory in MB (10^6 octets).
"""

from __future__ import annotations

import os
import resource
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

MB = 1_000_000
# Processors' worth of other load from which a run counts as disturbed.
FOREIGN = 0.12
_TICKS = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def tree(roots: Collection[int]) -> list[int]:
    """These processes and all below them."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            children[int(_stat(int(folder.name))[1])].append(int(folder.name))
    found, ahead = [], list(roots)
    while ahead:
        found.append(process := ahead.pop())
        ahead += children[process]
    return found


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: [1] parent, [13] and [14] waited-for time."""
    return (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()


def cpu_seconds(roots: Collection[int]) -> float:
    """Processor time of these and all below, of children that have ended included.

    What runs comes from schedstat, to the nanosecond; what has ended only in ticks of 10 ms.
    """
    total = 0.0
    for process in tree(roots):
        for thread in (_PROC / str(process) / "task").glob("*/schedstat"):
            with suppress(OSError):
                total += int(thread.read_text().split()[0]) / 1e9
        with suppress(OSError):
            total += sum(map(int, _stat(process)[13:15])) / _TICKS
    return total


def pss(roots: Collection[int]) -> float:
    """MB that these and all below take, what they share counted once."""
    return sum(map(_own_pss, tree(roots))) * 1024 / MB


def _own_pss(process: int) -> int:
    with suppress(OSError):
        lines = (_PROC / str(process) / "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0


def pin(roots: Collection[int], processor: int | None) -> None:
    """Let these, all below and all their threads run on one processor only; None: anywhere."""
    allowed = set(range(os.cpu_count() or 1)) if processor is None else {processor}
    for process in tree(roots):
        for thread in _threads(process):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(thread, allowed)


def _threads(process: int) -> Iterator[int]:
    return (int(folder.name) for folder in (_PROC / str(process) / "task").glob("*"))


def percentile(values: Collection[float], share: float) -> float:
    """The value below which that share of them lies; the largest where there are few."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _busy() -> float:
    """Seconds that all processors have worked, for anybody, since the machine started."""
    user, nice, system, _, _, irq, softirq = map(
        int, (_PROC / "stat").read_text().split(maxsplit=8)[1:8]
    )
    return (user + nice + system + irq + softirq) / _TICKS


def _own() -> float:
    """Of this process and of those it has started and waited for: the senders."""
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


class Meter:
    """Measures while its block runs: ``cpu`` of the ones looked at, ``foreign`` load.

    ``parts``: processes that belong to the run, too (next hop, Postfix); ``rest``: their processor
    time and that of the senders.
    """

    def __init__(self, looked_at: Collection[int], parts: Collection[int] = ()) -> None:
        self._looked_at, self._parts = looked_at, parts
        self.cpu = self.rest = self.foreign = 0.0

    def __enter__(self) -> Meter:
        self._before = self._now()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cpu, parts, busy, own, clock = (
            now - before for now, before in zip(self._now(), self._before, strict=True)
        )
        self.cpu, self.rest = cpu, parts + own
        self.foreign = max(busy - cpu - self.rest, 0) / clock

    def _now(self) -> tuple[float, ...]:
        looked_at, parts = cpu_seconds(self._looked_at), cpu_seconds(self._parts)
        return looked_at, parts, _busy(), _own(), time.perf_counter()

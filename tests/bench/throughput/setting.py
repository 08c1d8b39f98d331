"""How a comparison is run: what of it, how often and how long."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.throughput.measure import FOREIGN, Meter
from bench.throughput.peers import INSTALL, Place
from bench.throughput.senders import Load


class Named(Protocol):
    """What takes part."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str: ...


class Sending(Protocol):
    """Senders, and what else belongs to one run."""

    def send(self) -> Load: ...


_Named = TypeVar("_Named", bound=Named)
# A disturbed run is repeated so often; then the least disturbed one counts, and says so.
_TRIES = 3


@dataclass(frozen=True)
class Setting:
    """``seconds``: of one run; ``only``: what is measured, by ``SECTION: FILTER``."""

    place: Place
    repetitions: int
    seconds: float
    only: re.Pattern[str]
    quick: bool

    def chosen(self, section: str, peers: Iterable[_Named]) -> list[_Named]:
        """Those asked for that are installed; of others a line says what to install."""
        found = []
        for peer in peers:
            if self.wanted(section, peer.name):
                if packages := peer.missing():
                    note = f"{section}: {peer.name} left out, missing: {packages} ({INSTALL})"
                    print(note, file=sys.stderr)
                else:
                    found.append(peer)
        return found

    def wanted(self, section: str, who: str) -> bool:
        """Whether ``--only`` names it."""
        return bool(self.only.search(f"{section}: {who}"))

    def rounds(self, section: str, whom: Sequence[_Named]) -> Iterator[_Named]:
        """All in turns, so that a slow time of the machine meets each of them."""
        for number in range(self.repetitions if whom else 0):
            names = ", ".join(one.name for one in whom)
            print(f"{section}, {number + 1} of {self.repetitions}: {names}", file=sys.stderr)
            yield from whom

    def measured(
        self, senders: Sending, looked_at: Collection[int], parts: Collection[int] = ()
    ) -> tuple[Load, Meter]:
        """Let ``senders`` send, and see what that takes; again if something else disturbs it."""
        runs: list[tuple[Load, Meter]] = []
        while not runs or (len(runs) < _TRIES and not self.quick and runs[-1][1].foreign > FOREIGN):
            with Meter(looked_at, parts) as meter:
                load = senders.send()
            runs.append((load, meter))
        return min(runs, key=lambda run: run[1].foreign)

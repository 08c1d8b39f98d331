"""What is measured, what it is to reach, and the single measurements."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.throughput.measure import FOREIGN


@dataclass(frozen=True)
class Figure:
    """``aim``: what this filter is to reach (0: none set); ``more``: whether more is better."""

    title: str
    unit: str
    more: bool = False
    aim: float = 0.0
    digits: int = 0

    def text(self, value: float) -> str:
        """With digits enough to tell values apart."""
        return f"{value:,.{self.digits}f}"

    def ahead(self, ours: float, other: float) -> float:
        """How many times better ``ours`` is; below 1 it is worse."""
        upper, lower = (ours, other) if self.more else (other, ours)
        return upper / lower if lower else float("inf")

    def reached(self, value: float) -> bool:
        """Whether the aim is."""
        return value >= self.aim if self.more else value <= self.aim


# In the order of the table.
FIGURES = {
    "delivered": Figure("through Postfix, 20 senders: delivered mails a second", "/s", True),
    "share": Figure(
        "through Postfix, 20 senders: share of Postfix's own delivered mails", "%", True, 70
    ),
    "path cpu": Figure("through Postfix: processor time of the filter a mail", "us"),
    "cpu": Figure("one core, 20 senders: processor time of the filter a mail", "us", aim=800),
    "rate": Figure("one core, 20 senders: mails a second", "/s", True, 1200),
    "p50 at 1": Figure("one core, 1 sender: half of the mails within", "ms", aim=1.3, digits=2),
    "p99 at 1": Figure("one core, 1 sender: 99 of 100 mails within", "ms", aim=3, digits=2),
    "p99 at 20": Figure("one core, 20 senders: 99 of 100 mails within", "ms", aim=25, digits=1),
    "memory": Figure("memory (PSS) of all its processes after these mails", "MB", digits=1),
    "verdict": Figure("octets to verdict: processor time a mail", "us", aim=250),
    "large": Figure("processor time of a mail of 5 MB", "ms", aim=12, digits=1),
    "alone": Figure("a small mail, nothing else: 99 of 100 within", "ms", digits=2),
    "meanwhile": Figure(
        "a small mail, mails of 5 MB all the time: 99 of 100 within", "ms", digits=2
    ),
    "two": Figure("two workers against one, two cores: mails a second", "times", True, 1.8, 2),
    "two, hard": Figure(
        "two workers against one, two cores, mails of 100 parts: mails a second",
        "times",
        True,
        1.8,
        2,
    ),
    "two, most": Figure(
        "the most that two cores can give there, senders and next hop included",
        "times",
        True,
        digits=2,
    ),
    "one worker": Figure(
        "memory (PSS) of one worker, idle, its model open", "MB", aim=60, digits=1
    ),
    "each further": Figure("memory (PSS) of each further worker", "MB", aim=25, digits=1),
}


@dataclass(frozen=True)
class Sample:
    """One measurement: of which figure, of whom, and the other load meanwhile (processors)."""

    figure: str
    who: str
    value: float
    foreign: float = 0.0

    @property
    def disturbed(self) -> bool:
        return self.foreign > FOREIGN


@dataclass(frozen=True)
class Spread:
    """All measurements of one figure of one filter."""

    values: Sequence[float]
    disturbed: int

    @property
    def median(self) -> float:
        return statistics.median(self.values)


def spreads(samples: Iterable[Sample]) -> dict[str, dict[str, Spread]]:
    """By figure, in the order of the table, then by filter, in the order measured."""
    found: dict[str, dict[str, list[Sample]]] = {name: {} for name in FIGURES}
    for sample in samples:
        found[sample.figure].setdefault(sample.who, []).append(sample)
    return {
        figure: {
            who: Spread([one.value for one in some], sum(one.disturbed for one in some))
            for who, some in by_filter.items()
        }
        for figure, by_filter in found.items()
        if by_filter
    }

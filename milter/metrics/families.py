"""What is counted: a closed list, in the words of header, log and index.

Names and units are as Prometheus wishes for them (https://prometheus.io/docs/practices/naming/).
No label is ever made of what a mail says or who sent it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from milter.spam.action import Action
from milter.spam.terms import ASKS, OFFERS
from milter.spam.verdict import Reason, Verdict

#: What every name begins with.
PREFIX = "coop_verdict_"


@dataclass(frozen=True, slots=True)
class Counter:
    """Something that only grows; ``label`` tells its ``values`` apart, if it has any."""

    name: str
    doc: str
    label: str = ""
    values: tuple[str, ...] = ("",)

    @property
    def width(self) -> int:
        """How many numbers it takes."""
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations: how many there were up to each of ``bounds`` (seconds), above them, and their
    sum (nanoseconds)."""

    name: str
    doc: str
    bounds: tuple[float, ...]

    @property
    def width(self) -> int:
        """How many numbers it takes."""
        return len(self.bounds) + 2


MAILS = Counter("mails", "Mails that were judged and answered.", "verdict", tuple(Verdict))
REASONS = Counter(
    "reasons",
    "Mails whose verdict has another reason than their words.",
    "reason",
    tuple(Reason),
)
RECIPIENTS = Counter(
    "recipients", "Recipients of judged mails, by what was done for them.", "action", tuple(Action)
)
ASKED = Counter("asks", "What judged mails asked for; a mail may ask for several.", "ask", ASKS)
OFFERED = Counter("offers", "What judged mails offered.", "offer", OFFERS)
REPLIES = Counter(
    "replies", "Replies to senders at the end of a mail.", "code", ("2xx", "4xx", "5xx")
)
NEXT_HOP_FAULTS = Counter(
    "next_hop_faults",
    "Mails given back because the next hop failed; not those that it refused.",
)
SMUGGLED = Counter(
    "octets_behind_end", "Mails refused because octets were waiting behind their end."
)
RECEIVED = Counter("received_bytes", "Octets of the mails that came in whole.")
SESSIONS = Counter("sessions", "Sessions that were begun.")
REFUSED = Counter("sessions_refused", "Sessions refused because there were too many.")
RESTARTS = Counter("worker_restarts", "Workers that ended unasked, and were started anew.")
# Usual mails take a third of a millisecond; [limits] judging gives up after 2 s.
JUDGING = Histogram(
    "judging_seconds",
    "Time to read and judge a mail.",
    (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.0),
)
# Most of it is the next hop's; Postfix waits for 100 s.
ANSWERING = Histogram(
    "answer_seconds",
    "Time from a mail's last octet to its reply, the next hop's part included.",
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 90.0),
)

COUNTERS = (
    *(MAILS, REASONS, RECIPIENTS, ASKED, OFFERED, REPLIES),
    *(NEXT_HOP_FAULTS, SMUGGLED, RECEIVED, SESSIONS, REFUSED, RESTARTS),
)
HISTOGRAMS = (JUDGING, ANSWERING)


def _places() -> Mapping[str, range]:
    """Each family's numbers in a row of all, by its name."""
    families: tuple[Counter | Histogram, ...] = (*COUNTERS, *HISTOGRAMS)
    ends = accumulate(family.width for family in families)
    return {
        family.name: range(end - family.width, end)
        for family, end in zip(families, ends, strict=True)
    }


#: Which numbers of a row are whose, and how many there are.
PLACES = _places()
WIDTH = sum(map(len, PLACES.values()))


def columns(counter: Counter) -> dict[str, int]:
    """A counter's places in a row, by its label's values."""
    return dict(zip(counter.values, PLACES[counter.name], strict=True))

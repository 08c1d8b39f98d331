"""A session that counts what its sender is answered."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

from milter.errors import NextHopError
from milter.metrics import families as f
from milter.metrics.counters import Counters
from milter.smtp.connection import OctetsBehindData
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.receiver import Receiver, ReceiverSettings, Route
from milter.smtp.reply import OCTETS_BEHIND_DATA, Reply


@dataclass(slots=True)  # not frozen: one is made for each session, in half the time
class _Timed:
    """A route whose every reply is counted and timed, and what comes in place of one."""

    route: Route
    counters: Counters

    async def __call__(self, mail: Transaction, next_hop: NextHop) -> Reply:
        start = perf_counter()
        reply = None
        try:
            reply = await self.route(mail, next_hop)
        finally:
            self.counters.answered(reply, mail.content.size, perf_counter() - start)
        return reply


class CountedReceiver(Receiver):
    """A session with mail that is judged, known to ``counters``."""

    def __init__(
        self, counters: Counters, settings: ReceiverSettings, next_hop: NextHop, route: Route
    ) -> None:
        super().__init__(settings, next_hop, _Timed(route, counters))
        self._counters = counters
        counters.count(f.SESSIONS)

    async def _receive(self) -> Transaction | Reply:
        """Count what is refused before it can go its route, too."""
        try:
            received = await super()._receive()
        except OctetsBehindData:
            self._counters.count(f.SMUGGLED)
            self._counters.replied(OCTETS_BEHIND_DATA)
            raise
        if isinstance(received, Reply):
            self._counters.replied(received)
        return received

    async def _next_hop_failed(self, error: NextHopError) -> Reply:
        self._counters.count(f.NEXT_HOP_FAULTS)
        return await super()._next_hop_failed(error)

"""One core for the filter: it runs on one processor, senders and next hop on another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from bench.throughput.measure import pin
from bench.throughput.peers import Peer, Running
from bench.throughput.processes import running_sink
from bench.throughput.setting import Setting

SENDERS, FILTER = 0, 1  # processors


@contextmanager
def pinned(setting: Setting, peers: Sequence[Peer]) -> Iterator[tuple[Mapping[str, Running], int]]:
    """All of them, by name, and the next hop's process. Those that idle take nothing."""
    with ExitStack() as stack:
        port, sink = stack.enter_context(running_sink(setting.place.folder / "sink.log"))
        pin([sink], SENDERS)
        running = {
            peer.name: stack.enter_context(peer.running(setting.place, port)) for peer in peers
        }
        for one in running.values():
            pin(one.processes, FILTER)
        yield running, sink

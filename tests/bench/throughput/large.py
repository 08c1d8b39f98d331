"""Mails of 5 MB: what one costs, and what small mails wait meanwhile. One core for the filter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.memory import large_mail
from bench.throughput.bayes import Spampd
from bench.throughput.figures import Sample
from bench.throughput.peers import Ours, Peer, Plain, Running
from bench.throughput.pinned import SENDERS, pinned
from bench.throughput.senders import Load, Senders
from bench.throughput.setting import Setting

SECTION = "large"
_MEGABYTES = 5
_PEERS: tuple[Peer, ...] = (Ours(), Plain(), Plain(judging=True), Spampd())


def measure(setting: Setting) -> Iterator[Sample]:
    """All in turns; rspamd is left out: its answer does not hold the mail."""
    peers = setting.chosen(SECTION, _PEERS)
    large = setting.place.folder / "large.eml"
    large.write_bytes(large_mail(_MEGABYTES))
    with pinned(setting, peers) as (running, sink):
        for one in running.values():
            Senders(one.port, [setting.place.mails.test, large], count=1, mails=30).send()
            Senders(one.port, [large], count=1, mails=2).send()
        for peer in setting.rounds(SECTION, peers):
            yield from _one(setting, peer.name, running[peer.name], large, sink)


@dataclass(frozen=True)
class _Meanwhile:
    """Small mails, while others are sent for as long as these take."""

    small: Senders
    beside: Senders

    def send(self) -> Load:
        with self.beside.sending():
            return self.small.send()


def _one(setting: Setting, who: str, running: Running, large: Path, sink: int) -> Iterator[Sample]:
    some = 4 if setting.quick else 20
    load, meter = setting.measured(
        Senders(running.port, [large], count=1, mails=some, processor=SENDERS),
        running.processes,
        [sink],
    )
    yield Sample("large", who, meter.cpu / load.mails * 1000, meter.foreign)
    small = Senders(
        running.port,
        [setting.place.mails.test],
        count=1,
        seconds=setting.seconds,
        processor=SENDERS,
    )
    load, meter = setting.measured(small, running.processes, [sink])
    yield Sample("alone", who, load.within(0.99), meter.foreign)
    beside = Senders(running.port, [large], count=1, mails=10**6, processor=SENDERS)
    load, meter = setting.measured(_Meanwhile(small, beside), running.processes, [sink])
    yield Sample("meanwhile", who, load.within(0.99), meter.foreign)

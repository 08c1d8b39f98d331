"""One core: the filter on processor 1, senders and next hop on processor 0."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Iterator

from bench.throughput.bayes import Bogofilter, Rspamd, Spampd
from bench.throughput.figures import Sample
from bench.throughput.measure import Meter, percentile, pss
from bench.throughput.peers import Ours, Peer, Plain, Running
from bench.throughput.pinned import FILTER, SENDERS, pinned
from bench.throughput.senders import Senders
from bench.throughput.setting import Setting

SECTION = "core"
_WARM = 60  # mails before anything is measured
_PEERS: tuple[Peer, ...] = (Ours(), Plain(), Plain(judging=True), Rspamd(), Spampd())


def measure(setting: Setting) -> Iterator[Sample]:
    """All that serve, in turns; then bogofilter, which does not."""
    peers = setting.chosen(SECTION, _PEERS)
    with pinned(setting, peers) as (running, sink):
        for one in running.values():
            _senders(setting, one, count=4, mails=_WARM).send()
        for peer in setting.rounds(SECTION, peers):
            yield from _one(setting, peer, running[peer.name], sink)
        for peer in peers:
            yield Sample("memory", _called(peer), pss(running[peer.name].processes))
    for bogofilter in setting.rounds(SECTION, setting.chosen(SECTION, [Bogofilter()])):
        yield from _process_a_mail(setting, bogofilter)


def _senders(
    setting: Setting, running: Running, count: int, seconds: float = 0, mails: int = 0
) -> Senders:
    return Senders(
        running.port,
        [setting.place.mails.test],
        count=count,
        seconds=seconds,
        mails=mails,
        http=running.http,
        processor=SENDERS,
    )


def _called(peer: Peer) -> str:
    return "rspamd, HTTP" if isinstance(peer, Rspamd) else peer.name


def _one(setting: Setting, peer: Peer, running: Running, sink: int) -> Iterator[Sample]:
    who, seconds = _called(peer), setting.seconds
    few, meter = setting.measured(
        _senders(setting, running, 1, seconds / 2), running.processes, [sink]
    )
    yield Sample("p50 at 1", who, few.within(0.5), meter.foreign)
    yield Sample("p99 at 1", who, few.within(0.99), meter.foreign)
    many, meter = setting.measured(
        _senders(setting, running, 20, seconds), running.processes, [sink]
    )
    yield Sample("cpu", who, meter.cpu / many.mails * 1e6, meter.foreign)
    yield Sample("rate", who, many.rate, meter.foreign)
    yield Sample("p99 at 20", who, many.within(0.99), meter.foreign)


def _process_a_mail(setting: Setting, bogofilter: Bogofilter) -> Iterator[Sample]:
    """bogofilter -p, as a content filter would call it: mail in, tagged mail out, no SMTP."""
    command = [*bogofilter.command(setting.place), "-p"]
    mails = sorted(setting.place.mails.test.iterdir())[: int(setting.seconds * 60)]
    anywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {FILTER})
    before, took, start = _waited_for(), [], time.perf_counter()
    with Meter([]) as meter:
        for mail in mails:
            begin = time.perf_counter()
            with mail.open("rb") as file:
                subprocess.run(command, stdin=file, stdout=subprocess.DEVNULL)
            took.append((time.perf_counter() - begin) * 1000)
    rate = len(mails) / (time.perf_counter() - start)
    os.sched_setaffinity(0, anywhere)
    who = "bogofilter -p, a process a mail"
    yield Sample("cpu", who, (_waited_for() - before) / len(mails) * 1e6, meter.foreign)
    yield Sample("rate", who, rate, meter.foreign)
    yield Sample("p50 at 1", who, percentile(took, 0.5), meter.foreign)
    yield Sample("p99 at 1", who, percentile(took, 0.99), meter.foreign)


def _waited_for() -> float:
    """Processor seconds of processes that this one has started and waited for."""
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])

"""The way through Postfix: what a filter in front of its queue leaves of its own throughput.

Nothing is pinned: senders, Postfix, filter and next hop share all cores, as on a small server.
Delivered are mails that have left the queue for the next hop.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.throughput.bayes import Rspamd, Spampd
from bench.throughput.figures import Sample
from bench.throughput.measure import Meter
from bench.throughput.peers import OURS, Ours, Peer, Place, Plain, Running
from bench.throughput.processes import low_port, missing, running_sink
from bench.throughput.senders import Load, Senders
from bench.throughput.setting import Setting
from harness.postfix import DEPLOY, Postfix, running_postfix

SECTION = "postfix"
ALONE = "Postfix alone"
_PATIENCE = 120.0  # seconds for the queue to empty
# Behind these, a queue that only hands on: as fast as it comes, and no DNS.
_MAIN = """
relayhost = [127.0.0.1]:{next_hop}
in_flow_delay = 0
default_destination_concurrency_limit = 20
default_process_limit = 100
smtpd_client_connection_count_limit = 0
milter_default_action = accept
"""


@dataclass(frozen=True)
class Way:
    """A way for mail into Postfix: through ``peer`` with so many workers, or without one."""

    name: str
    peer: Peer | None = None
    workers: int = 1

    def missing(self) -> str:
        return self.peer.missing() if self.peer else ""


_WAYS = (
    Way(ALONE),
    Way(f"{OURS}, 1 worker", Ours()),
    Way(f"{OURS}, 2 workers", Ours(), 2),
    Way("plain proxy", Plain()),
    Way("plain proxy, judging", Plain(judging=True)),
    Way("rspamd, milter, 2 workers", Rspamd(), 2),
    Way("spampd", Spampd(), 2),
)


def measure(setting: Setting) -> Iterator[Sample]:
    """All ways in turns; each share is of what Postfix alone did in the same turn."""
    if missing({"postfix": "postfix", "smtp-sink": "postfix"}) or os.geteuid():
        raise SystemExit("the comparison needs Debian's postfix, and root for a private one")
    chosen = setting.chosen(SECTION, _WAYS)
    if not chosen:
        return
    ways = [_WAYS[0], *(way for way in chosen if way.peer)]
    with _running(setting.place, ways) as hall:
        for way in ways:
            hall.run(setting, way, seconds=1)
        alone, disturbed = 0.0, 0.0
        for way in setting.rounds(SECTION, ways):
            load, meter = hall.run(setting, way, setting.seconds)
            yield Sample("delivered", way.name, load.rate, meter.foreign)
            if way.peer:
                foreign = max(meter.foreign, disturbed)
                yield Sample("share", way.name, load.rate / alone * 100, foreign)
                yield Sample("path cpu", way.name, meter.cpu / load.mails * 1e6, meter.foreign)
            else:
                alone, disturbed = load.rate, meter.foreign


@dataclass(frozen=True)
class _Hall:
    """Everything that runs: Postfix with a port for each way, the filters, the next hop."""

    postfix: Postfix
    doors: dict[str, int]
    filters: dict[str, Running]
    sink: int

    def run(self, setting: Setting, way: Way, seconds: float) -> tuple[Load, Meter]:
        """One run of one way."""
        running = self.filters.get(way.name)
        master = int((self.postfix.run / "queue/pid/master.pid").read_text())
        senders = Senders(self.doors[way.name], [setting.place.mails.test], seconds=seconds)
        return setting.measured(
            _Delivered(senders, self.postfix.run / "queue"),
            running.processes if running else (),
            [self.sink, master],
        )


@dataclass(frozen=True)
class _Delivered:
    """Senders, and the time until what they sent has left Postfix's queue."""

    senders: Senders
    queue: Path

    def send(self) -> Load:
        load = self.senders.send()
        start = time.perf_counter()
        _until_empty(self.queue)
        return replace(load, seconds=load.seconds + time.perf_counter() - start)


def _until_empty(queue: Path) -> None:
    """Wait until all mail has left."""
    deadline = time.monotonic() + _PATIENCE
    while any(_files(queue / part) for part in ("maildrop", "incoming", "active", "deferred")):
        assert time.monotonic() < deadline, f"mail stays in {queue}"
        time.sleep(0.02)


def _files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))


@contextmanager
def _running(place: Place, ways: list[Way]) -> Iterator[_Hall]:
    """Start the next hop, filters and Postfix. The filters are told a port that Postfix opens."""
    with ExitStack() as stack:
        next_hop, sink = stack.enter_context(running_sink(place.folder / "sink.log"))
        behind = low_port()
        filters = {
            way.name: stack.enter_context(way.peer.running(place, behind, way.workers))
            for way in ways
            if way.peer
        }
        doors = {way.name: low_port() for way in ways}
        master = "".join(_door(doors[way.name], filters.get(way.name)) for way in ways)
        more = (_MAIN.format(next_hop=next_hop), master + _listener_behind(behind))
        postfix = stack.enter_context(running_postfix("before-queue", more=more))
        yield _Hall(postfix, doors, filters, sink)


def _door(port: int, filter_: Running | None) -> str:
    """A listener for senders: alone, with a milter, or as the sample file has it."""
    if filter_ is None or filter_.milter:
        option = f"  -o smtpd_milters={filter_.milter}\n" if filter_ else ""
        return f"127.0.0.1:{port} inet n - n - 20 smtpd\n{option}"
    first = _services()[0].replace("127.0.0.1:10025", f"127.0.0.1:{filter_.port}")
    return re.sub(r"^smtp( +inet)", rf"127.0.0.1:{port}\1", first)


def _listener_behind(port: int) -> str:
    return _services()[1].replace("127.0.0.1:10026", f"127.0.0.1:{port}")


def _services() -> list[str]:
    """The two services of the sample file for master.cf."""
    text = (DEPLOY / "before-queue.master.cf").read_text()
    lines = [line for line in text.splitlines(keepends=True) if line.strip() and line[0] != "#"]
    starts = [number for number, line in enumerate(lines) if not line[0].isspace()]
    first, second = starts
    return ["".join(lines[first:second]), "".join(lines[second:])]

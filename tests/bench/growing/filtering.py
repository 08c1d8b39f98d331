"""Curves of the filter: processor time of one worker, so that other load shows little."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.growing.setting import Bench
from bench.memory import large_mail
from bench.throughput.curves import Curve
from bench.throughput.measure import MB, Meter, pss
from bench.throughput.peers import Ours, Running
from bench.throughput.processes import running_sink
from bench.throughput.senders import Load, Senders

_ENOUGH = 20 * MB  # octets sent for one point, where mails are large
_DIFFERENT = 5  # mails for one point, where they are small


@contextmanager
def filtering(bench: Bench) -> Iterator[Running]:
    """The filter with a next hop that throws all away, some mails through already."""
    with (
        running_sink(bench.place.folder / "sink.log") as (port, _),
        Ours().running(bench.place, port) as running,
    ):
        Senders(running.port, [bench.place.mails.test], mails=200).send()
        yield running


def cost(running: Running, senders: Senders) -> tuple[float, Load]:
    """Milliseconds of processor time a mail."""
    with Meter(running.processes) as meter:
        load = senders.send()
    return meter.cpu / load.mails * 1000, load


def of_mails(
    bench: Bench, title: str, sizes: str, steps: Sequence[int], mail: Callable[[int], bytes]
) -> Curve:
    """One sender, each mail as large as the step says."""
    curve = Curve(title, sizes, "ms of processor time a mail")
    with filtering(bench) as running:
        for step in steps:
            folder = bench.folder()
            for number in range(_DIFFERENT):  # one again and again would be remembered
                path = folder / f"{number}.eml"
                path.write_bytes(mail(step))
                if path.stat().st_size > MB:
                    break
            Senders(running.port, [folder], count=1, mails=2).send()
            some = max(_DIFFERENT, min(200, _ENOUGH // path.stat().st_size))
            few = 2 if bench.quick else some
            senders = Senders(running.port, [folder], count=1, mails=few)
            curve.points.append((step, cost(running, senders)[0]))
    return curve


def text(bench: Bench) -> Iterator[Curve]:
    """Text that is all read."""
    steps = bench.steps(1000, 5000, 20_000, 100_000, 500_000, 2 * MB, 10 * MB)
    yield of_mails(bench, "octets of plain text", "octets", steps, bench.writer.of_text)


def attachment(bench: Bench) -> Iterator[Curve]:
    """A few words and an attachment."""
    steps = bench.steps(10_000, 50_000, 200_000, MB, 5 * MB, 25 * MB)
    yield of_mails(
        bench, "octets, attached", "octets", steps, lambda octets: large_mail(octets / MB)
    )


def parts(bench: Bench) -> Iterator[Curve]:
    """Short text parts beside one another."""
    steps = bench.steps(1, 3, 10, 30, 100, 300, 1000, 3000)
    yield of_mails(bench, "MIME parts", "parts", steps, bench.writer.of_parts)


def recipients(bench: Bench) -> Iterator[Curve]:
    """One mail to many."""
    curve = Curve("recipients of a mail", "recipients", "ms of processor time a mail")
    with filtering(bench) as running:
        for step in bench.steps(1, 3, 10, 30, 100, 300, 1000):
            number = 4 if bench.quick else max(10, 200 // step)
            senders = Senders(
                running.port, [bench.place.mails.test], count=1, mails=number, recipients=step
            )
            curve.points.append((step, cost(running, senders)[0]))
    yield curve


def senders(bench: Bench) -> Iterator[Curve]:
    """More of them must make each wait longer, but no mail dearer."""
    each = Curve("senders: cost of each mail", "senders", "ms of processor time a mail", allowed=0)
    waits = Curve("senders: what a mail waits", "senders", "ms, half of the mails")
    memory = Curve("senders: memory", "senders", "MB (PSS)")
    for step in bench.steps(1, 2, 5, 10, 20, 50, 100, 200, 500):
        with filtering(bench) as running:
            number = max(step, 100) if bench.quick else max(4 * step, 1000)
            spent, load = cost(
                running, Senders(running.port, [bench.place.mails.test], count=step, mails=number)
            )
            each.points.append((step, spent))
            waits.points.append((step, load.within(0.5)))
            memory.points.append((step, pss(running.processes)))
    yield from (each, waits, memory)

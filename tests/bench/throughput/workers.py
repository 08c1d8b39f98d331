"""Several workers of this filter: two against one, and what each further one takes in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.throughput.figures import Sample
from bench.throughput.measure import Meter, pss
from bench.throughput.messages import CORPUS, Writer, read_paragraphs
from bench.throughput.peers import OURS, Ours, Running
from bench.throughput.processes import running_sink
from bench.throughput.senders import Load, Senders
from bench.throughput.setting import Setting

SECTION = "workers"
_PARTS = 100  # of a mail: work for the filter, little for the senders beside it
_HARD_MAILS = 40
_MOST = 4


def measure(setting: Setting) -> Iterator[Sample]:
    """Each ratio is of two runs right after one another."""
    ours = setting.chosen(SECTION, [Ours()])
    if not ours:
        return
    hard = _hard_mails(setting.place.folder / "hard")
    kinds = {"two": setting.place.mails.test, "two, hard": hard}
    with ExitStack() as stack:
        port, sink = stack.enter_context(running_sink(setting.place.folder / "sink.log"))
        running = {
            workers: stack.enter_context(ours[0].running(setting.place, port, workers))
            for workers in (1, 2, _MOST)
        }
        for one in running.values():
            Senders(one.port, [setting.place.mails.test], mails=100 * _MOST).send()
        yield from _memory(running)
        for _ in setting.rounds(SECTION, ours):
            for figure, mails in kinds.items():
                yield from _ratio(setting, figure, mails, [running[1], running[2]], sink)


def _memory(running: dict[int, Running]) -> Iterator[Sample]:
    """After some mails, so that nothing is counted that is only opened for the first one."""
    yield Sample("one worker", OURS, pss(running[1].processes))
    further = pss(running[_MOST].processes) - pss(running[2].processes)
    yield Sample("each further", OURS, further / (_MOST - 2))


def _ratio(
    setting: Setting, figure: str, mails: Path, running: Sequence[Running], sink: int
) -> Iterator[Sample]:
    """With the second worker, one core is no longer free for senders and next hop."""
    runs: list[tuple[Load, Meter]] = [
        setting.measured(Senders(one.port, [mails], seconds=setting.seconds), one.processes, [sink])
        for one in running
    ]
    (one, meter), (two, other) = runs
    foreign = max(meter.foreign, other.foreign)
    yield Sample(figure, OURS, two.rate / one.rate, foreign)
    if figure == "two, hard":
        yield Sample("two, most", OURS, 2 * meter.cpu / (meter.cpu + meter.rest), foreign)


def _hard_mails(folder: Path) -> Path:
    folder.mkdir()
    writer = Writer(read_paragraphs(CORPUS))
    for number in range(_HARD_MAILS):
        (folder / f"{number}.eml").write_bytes(writer.of_parts(_PARTS))
    return folder

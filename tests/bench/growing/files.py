"""Curves of what the filter keeps: the index of seen mails, whom one knows, the quarantine.

Times are processor time, so that other load shows little: what waits for a disk is not in them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.full_quarantine import fill
from bench.growing.setting import Bench
from bench.throughput.curves import Curve
from bench.throughput.measure import MB

from milter import seen
from milter.quarantine import names
from milter.quarantine.store import Quarantine, Query
from milter.smtp.reply import Reply
from milter.spam.verdict import Judgement, Score, Verdict
from milter.trust.memory import Memory

_ROUNDS = 15  # of what is looked up, for one point
_WRITES = 500  # of what is written, for one point: what is done at times only takes its part
_NO_LIMIT = 1 << 40  # octets, or entries
_TOLD = Judgement(Verdict.FAKE, "2026.11.23-0000000", Score(0.9, 0.0, 0.1), asks=("link",))
_OK = Reply.of(250, "2.0.0", "Ok")


def index(bench: Bench) -> Iterator[Curve]:
    """A line for each mail; to find one, all are looked through."""
    record = Curve("index: a mail is written", "mails in it", "us", allowed=0)
    find = Curve("index: a mail is found", "mails in it", "ms")
    size = Curve("index: files", "mails in it", "MB")
    folder, there = bench.folder(), 0
    kept = seen.Index(folder, _NO_LIMIT)
    for mails in bench.steps(1000, 10_000, 100_000, 300_000, 1_000_000):
        _see(kept, there, mails)
        there = mails + _WRITES
        record.points.append((mails, _seconds(lambda: _see(kept, mails, there)) / _WRITES * 1e6))  # noqa: B023
        find.points.append((mails, _median(lambda: seen.find(folder, _mail(7))) * 1000))
        size.points.append((mails, (folder / seen.NAME).stat().st_size / MB))
    kept.close()
    yield from (record, find, size)


def _see(kept: seen.Index, first: int, end: int) -> None:
    """Write lines as the filter does, for the mails with these numbers."""
    for number in range(first, end):
        digests = kept.digests(_mail(number), ["anna@example.org"])
        kept.record(f"{number:x}", digests, _TOLD, _OK)


def _mail(number: int) -> bytes:
    return (
        f"Message-ID: <{number}@sender.example>\r\nSubject: {number}\r\n\r\n"
        f"Here is what you have asked me for in your letter of {number}.\r\n"
    ).encode()


def known(bench: Bench) -> Iterator[Curve]:
    """Correspondents, up to as many as are kept."""
    learn = Curve("correspondents: one is learned", "correspondents", "us", allowed=0)
    knows = Curve("correspondents: one is looked up", "correspondents", "us", allowed=0)
    size = Curve("correspondents: file", "correspondents", "MB")
    folder, there = bench.folder(), 0
    memory = Memory(folder)
    for people in bench.steps(1000, 10_000, 50_000, 100_000, 195_000):
        memory.learn(_people(there, people))
        there = people + _WRITES

        def one_by_one(first: int = people) -> None:
            for person in _people(first, first + _WRITES):
                memory.learn([person])

        learn.points.append((people, _seconds(one_by_one) / _WRITES * 1e6))
        knows.points.append((people, _median(lambda: memory.knows("person7@example.net")) * 1e6))
        size.points.append((people, sum(map(_octets, folder.glob("known.sqlite*"))) / MB))
    memory.close()
    yield from (learn, knows, size)


def _people(first: int, end: int) -> list[str]:
    return [f"person{number}@example.net" for number in range(first, end)]


def quarantine(bench: Bench) -> Iterator[Curve]:
    """Held mails; their index is a file that can be made anew from them."""
    sizes = "held mails"
    hold = Curve("quarantine: a mail is held, without fsync", sizes, "ms", allowed=0)
    first = Curve("quarantine: first page, and how many there are", sizes, "ms")
    last = Curve("quarantine: last page", sizes, "ms")
    search = Curve("quarantine: search for three words", sizes, "ms")
    anew = Curve("quarantine: index anew", sizes, "s")
    octets = Curve("quarantine: index", sizes, "MB")
    for mails in bench.powers():
        folder = bench.folder()
        held = Quarantine(folder)
        held.prepare()
        hold.points.append((mails, _seconds(lambda: fill(held, folder, mails)) / mails * 1000))  # noqa: B023
        for name in (names.INDEX, f"{names.INDEX}-wal", f"{names.INDEX}-shm"):
            (folder / name).unlink(missing_ok=True)
        anew.points.append((mails, _seconds(held.reconcile)))
        octets.points.append((mails, _octets(folder / names.INDEX) / MB))
        some = held.find(Query()).items[0]
        for curve, query in (
            (first, Query()),
            (last, Query(offset=max(0, mails - 50))),
            (search, Query(words=f"{some.subject.split()[0]} example @")),
        ):
            curve.points.append((mails, _median(lambda: held.find(query)) * 1000))  # noqa: B023
    yield from (hold, first, last, search, anew, octets)


def _octets(path: Path) -> int:
    return path.stat().st_size


def _seconds(job: Callable[[], object]) -> float:
    start = time.process_time()
    job()
    return time.process_time() - start


def _median(job: Callable[[], object]) -> float:
    return statistics.median(_seconds(job) for _ in range(_ROUNDS))

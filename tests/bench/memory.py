"""What large mails cost: the filter's memory, their throughput, and how long small ones wait.

    python tests/bench/memory.py [--senders 50] [--megabytes 25]

All large mails go through one filter at once, into a next hop that throws them away, while a
small mail comes every 200 ms. It only measures: no figure makes it fail.

Senders, next hop and filter are processes of their own, so that a busy one shows in another's
figures only where they share a core.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import multiprocessing
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when started as a script

from bench.soak_send import Outcome, Session, attempt, on_the_wire
from harness.filter import running_filter
from harness.ports import free_port, listens, wait_until

MB = 1_000_000
PERIOD = 0.2  # seconds between two small mails, and between two looks at the memory
ALONE = 5.0  # seconds in which small mails go through an idle filter, to compare with
PATIENCE = 1800.0  # seconds for a large mail; nobody gives up before there is a figure
SMALL = Path(__file__).resolve().parents[2] / "deploy" / "demo" / "2-fake-en.eml"

# Not fork: a copy of a process with a running event loop is no clean start.
_processes = multiprocessing.get_context("spawn")


# --- the next hop -----------------------------------------------------------------------

_ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
_OK = b"250 2.0.0 OK\r\n"


@dataclass(frozen=True)
class Sink:
    """A next hop that takes everything: its port, and how many octets of content it got."""

    port: int
    octets: Any  # multiprocessing's shared integer, which has no type of its own


@contextlib.contextmanager
def running_sink() -> Iterator[Sink]:
    """A sink in a process of its own, until the block ends."""
    sink = Sink(free_port(), _processes.Value("Q", 0, lock=False))
    process = _processes.Process(target=_serve_sink, args=(sink,))
    process.start()
    try:
        wait_until(lambda: listens(sink.port), "the sink is up")
        yield sink
    finally:
        process.terminate()
        process.join()


def _serve_sink(sink: Sink) -> None:
    async def serve() -> None:
        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):  # whoever hangs up has had enough
                await _converse(reader, writer, sink)
            writer.close()

        server = await asyncio.start_server(session, "127.0.0.1", sink.port, limit=1 << 20)
        await server.serve_forever()

    asyncio.run(serve())


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sink: Sink) -> None:
    writer.write(b"220 sink.example ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"DATA":
            writer.write(b"354 Go ahead\r\n")
            await _discard_content(reader, sink)
        writer.write(_ANSWERS.get(verb, _OK))


async def _discard_content(reader: asyncio.StreamReader, sink: Sink) -> None:
    """Read to the end of data; the filter sends nothing behind it before it has the reply."""
    tail = b"\r\n"
    while tail != b"\r\n.\r\n":
        piece = await reader.read(1 << 18)
        if not piece:
            raise EOFError
        sink.octets.value += len(piece)
        tail = (tail + piece)[-5:]


# --- large mails ------------------------------------------------------------------------

_LARGE_HEAD = b"""\
From: <sender@example.org>
To: <owner@example.net>
Subject: The pictures
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=parts

--parts
Content-Type: text/plain; charset=utf-8

Here are all the pictures of Sunday, as promised. See you next week!

--parts
Content-Type: image/jpeg
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=sunday.jpg

"""


@dataclass(frozen=True)
class Bulk:
    """What became of the large mails: when they began (time.monotonic, which all processes
    share), how many seconds they took in all, how often which reply came.
    """

    start: float
    seconds: float
    replies: Counter[str]


def send_large(port: int, senders: int, megabytes: float) -> Bulk:
    """Send one large mail by each sender, all at once; runs in a process of its own."""
    return asyncio.run(_send_large(port, senders, on_the_wire(large_mail(megabytes))))


def large_mail(megabytes: float) -> bytes:
    """A short text with a large attachment: what large mails are."""
    attachment = base64.encodebytes(random.Random(0).randbytes(int(megabytes * MB * 0.74)))
    return (_LARGE_HEAD + attachment + b"--parts--\n").replace(b"\n", b"\r\n")


async def _send_large(port: int, senders: int, octets: bytes) -> Bulk:
    together = asyncio.Barrier(senders + 1)
    tasks = [asyncio.create_task(_send_one(port, octets, together)) for _ in range(senders)]
    await together.wait()
    start = time.monotonic()
    replies = Counter(await asyncio.gather(*tasks))
    return Bulk(start, time.monotonic() - start, replies)


async def _send_one(port: int, octets: bytes, together: asyncio.Barrier) -> str:
    """The reply to one large mail, or what came instead."""
    begun = False
    try:
        async with asyncio.timeout(PATIENCE), Session.open(port) as session:
            reply = await session.begin("large@example.org")
            begun = True
            await together.wait()
            return await session.say(octets) if reply.startswith("354") else reply
    except (OSError, EOFError) as error:
        if not begun:  # the others must not wait for this one
            await together.wait()
        return f"broken off: {type(error).__name__}"


# --- small mails and memory, meanwhile --------------------------------------------------


@dataclass
class Small:
    """One small mail: when it began, seconds from connecting to the reply, and what that was."""

    start: float
    seconds: float
    outcome: Outcome


async def send_small(port: int, until: asyncio.Event) -> list[Small]:
    """A small mail every 200 ms, whether or not the one before is through."""
    content = SMALL.read_bytes().replace(b"\n", b"\r\n")
    tasks = []
    while not until.is_set():
        tasks.append(asyncio.create_task(_send_small(port, content)))
        await asyncio.sleep(PERIOD)
    return await asyncio.gather(*tasks)


async def _send_small(port: int, content: bytes) -> Small:
    start = time.monotonic()
    outcome = await attempt(port, "small@example.org", content)
    return Small(start, time.monotonic() - start, outcome)


async def watch_pss(process: int, until: asyncio.Event) -> int:
    """The highest PSS seen, in kB."""
    highest = 0
    while not until.is_set():
        highest = max(highest, _kilobytes(process, "smaps_rollup", "Pss"))
        await asyncio.sleep(PERIOD)
    return highest


def _kilobytes(process: int, file: str, name: str) -> int:
    """A figure in kB from a file under /proc (proc(5))."""
    text = Path(f"/proc/{process}/{file}").read_text()
    (figure,) = re.findall(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(figure)


# --- the whole --------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    """What was measured; memory in kB."""

    before: int
    peak_rss: int
    peak_pss: int
    bulk: Bulk
    alone: list[Small]
    meanwhile: list[Small]


async def measure(
    port: int, process: int, senders: int, megabytes: float, pool: ProcessPoolExecutor
) -> Figures:
    """First small mails alone, then large ones with small ones beside them."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.call_later(ALONE, over.set)
    alone = await send_small(port, over)
    before = _kilobytes(process, "status", "VmHWM")
    over.clear()
    small = asyncio.create_task(send_small(port, over))
    pss = asyncio.create_task(watch_pss(process, over))
    try:
        bulk = await loop.run_in_executor(pool, send_large, port, senders, megabytes)
    finally:
        over.set()
    peak_pss = await pss
    # Those that were through before the large mails were ready met an idle filter.
    meanwhile = [mail for mail in await small if mail.start + mail.seconds > bulk.start]
    peak_rss = _kilobytes(process, "status", "VmHWM")
    return Figures(before, peak_rss, peak_pss, bulk, alone, meanwhile)


def table(figures: Figures, senders: int, megabytes: float, sunk: int) -> str:
    """The figures, a line each."""
    bulk = figures.bulk
    accepted = sum(count for reply, count in bulk.replies.items() if reply.startswith("2"))
    rows = [
        ("large mails", f"{senders} x {megabytes:g} MB"),
        *((f"  {reply}", str(count)) for reply, count in bulk.replies.items()),
        ("seconds", f"{bulk.seconds:.1f}"),
        ("MB a second, of accepted mails", f"{accepted * megabytes / bulk.seconds:.1f}"),
        ("MB that the next hop got", f"{sunk / MB:.0f}"),
        ("filter: peak RSS before, MB", f"{figures.before * 1024 / MB:.0f}"),
        ("filter: peak RSS (VmHWM), MB", f"{figures.peak_rss * 1024 / MB:.0f}"),
        ("filter: peak PSS (sampled), MB", f"{figures.peak_pss * 1024 / MB:.0f}"),
        *_latency("small mails alone", figures.alone),
        *_latency("small mails meanwhile", figures.meanwhile),
    ]
    return "\n".join(f"{name:<50}{value:>14}" for name, value in rows)


def _latency(name: str, small: Sequence[Small]) -> list[tuple[str, str]]:
    """Of all of them, accepted or not: waiting in vain is waiting, too."""
    seconds = [mail.seconds for mail in small]
    return [
        (name, str(len(small))),
        ("  p50, ms", f"{statistics.median(seconds) * 1000:.0f}"),
        ("  max, ms", f"{max(seconds) * 1000:.0f}"),
        *((f"  {end}", str(n)) for end, n in Counter(mail.outcome for mail in small).items()),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Memory with large mails; see README.md here.")
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--megabytes", type=float, default=25.0)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="coop-memory-") as folder,
        running_sink() as sink,
        running_filter(Path(folder), "", "--next-hop", f"127.0.0.1:{sink.port}") as judge,
        ProcessPoolExecutor(1, mp_context=_processes) as pool,
    ):
        senders, megabytes = options.senders, options.megabytes
        figures = asyncio.run(measure(judge.port, judge.process.pid, senders, megabytes, pool))
        print(table(figures, senders, megabytes, sink.octets.value))
    return 0


if __name__ == "__main__":
    sys.exit(main())

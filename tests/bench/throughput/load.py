"""Senders in a closed loop: each sends a mail over a connection of its own, then the next.

    python tests/bench/throughput/load.py --port N (--seconds S | --mails N) [--senders 20]
        [--recipients 1] [--http] PATH...

One line of JSON: mails, seconds, what a mail took (connecting to the reply to its final dot; the
HTTP answer), and the replies by code. Nothing is sent ahead of its reply (no PIPELINING), because
Postfix sends nothing ahead to a filter in front of its queue. ``--http`` is for rspamd.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

SENDER = b"anna@firma.example"
_PATIENCE = 60.0  # seconds for one mail; longer is lost
_HTTP = b"""\
POST /checkv2 HTTP/1.1\r
Host: localhost\r
IP: 192.0.2.7\r
Helo: mx.firma.example\r
Hostname: mx.firma.example\r
From: %s\r
Rcpt: redaktion@owner.example\r
Content-Length: %d\r
\r
"""


class Sent(NamedTuple):
    """One mail: the reply's code, and the seconds up to it."""

    code: str
    seconds: float


class SmtpMail(asyncio.Protocol):
    """One connection with one mail: each reply calls forth what is said next."""

    def __init__(self, lines: Sequence[bytes], done: asyncio.Future[Sent]) -> None:
        self._lines = iter(lines)
        self._done = done
        self._start = time.perf_counter()
        self._heard = b""
        self._content_next = False
        self._sent: Sent | None = None
        self._transport = asyncio.WriteTransport()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Act on each complete reply (its last line has a blank behind the code)."""
        self._heard += data
        while b"\n" in self._heard:
            line, self._heard = self._heard.split(b"\n", 1)
            if line[3:4] != b"-":
                self._replied(line[:3].decode("ascii", "replace"))

    def _replied(self, code: str) -> None:
        if self._content_next:  # the line sent before was the content: this answers the dot
            self._content_next = False
            self._sent = Sent(code, time.perf_counter() - self._start)
        elif code[0] not in "23":
            self._sent = Sent(code, time.perf_counter() - self._start)
            self._transport.close()
            return
        self._content_next = code == "354"
        line = next(self._lines, None)
        if line is None:
            self._transport.close()
        else:
            self._transport.write(line)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(self._sent or Sent("lost", time.perf_counter() - self._start))


class HttpMail(asyncio.Protocol):
    """One HTTP request over a connection of its own."""

    def __init__(self, lines: Sequence[bytes], done: asyncio.Future[Sent]) -> None:
        (self._request,) = lines
        self._done = done
        self._start = time.perf_counter()
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0].strip()
        if end and len(body) >= int(length or 0):
            self._done.set_result(Sent(head[9:12].decode(), time.perf_counter() - self._start))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(Sent("lost", time.perf_counter() - self._start))


def smtp_lines(content: bytes, recipients: int) -> list[bytes]:
    """What a sender says, in turn, the greeting answered by the first."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    stuffed = b"." + stuffed if stuffed.startswith(b".") else stuffed
    stuffed += b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"
    to = [b"RCPT TO:<user%d@owner.example>\r\n" % i for i in range(recipients)]
    start = [b"EHLO mx.firma.example\r\n", b"MAIL FROM:<%s>\r\n" % SENDER]
    return [*start, *to, b"DATA\r\n", stuffed, b"QUIT\r\n"]


def http_lines(content: bytes, recipients: int) -> list[bytes]:
    """The request to rspamd that asks for the same."""
    return [_HTTP % (SENDER, len(content)) + content]


async def send(
    port: int,
    talk: Callable[[Sequence[bytes], asyncio.Future[Sent]], asyncio.Protocol],
    lines: Sequence[bytes],
) -> Sent:
    """One mail; who is not let in at all counts as lost."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Sent] = loop.create_future()
    start = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE):
            await loop.create_connection(lambda: talk(lines, done), "127.0.0.1", port)
            return await done
    except OSError as error:  # TimeoutError is one
        return Sent(type(error).__name__, time.perf_counter() - start)


async def run(options: argparse.Namespace) -> dict[str, object]:
    """All senders until the time is up or the mails have been sent; the figures."""
    talk, lines = (HttpMail, http_lines) if options.http else (SmtpMail, smtp_lines)
    said = [lines(path.read_bytes(), options.recipients) for path in _files(options.paths)]
    sent: list[Sent] = []
    begun = 0
    start = time.perf_counter()

    async def sender() -> None:
        nonlocal begun
        while begun < options.mails and time.perf_counter() - start < options.seconds:
            begun += 1
            sent.append(await send(options.port, talk, said[begun % len(said)]))

    await asyncio.gather(*(sender() for _ in range(options.senders)))
    seconds = time.perf_counter() - start
    accepted = [mail.seconds for mail in sent if mail.code.startswith("2")]
    return {
        "mails": len(accepted),
        "seconds": seconds,
        "took": sorted(accepted),
        "replies": Counter(mail.code for mail in sent),
    }


def _files(paths: Sequence[Path]) -> list[Path]:
    return [
        file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Senders in a closed loop.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--recipients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--mails", type=int, default=10**9)
    parser.add_argument("--http", action="store_true")
    parser.add_argument("paths", nargs="+", type=Path)
    options = parser.parse_args()
    try:  # halves what the generator takes, where it is installed; nothing depends on it
        run_all = importlib.import_module("uvloop").run
    except ImportError:
        run_all = asyncio.run
    print(json.dumps(run_all(run(options))))


if __name__ == "__main__":
    main()

"""The endpoint: what it answers, and what strangers cannot take from it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from milter.metrics import site as s
from milter.metrics.site import Site

PAGE = b"a_total 1\n" * 1000
GET = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
Visitor = Callable[[int], Awaitable[None]]


def visited(visitor: Visitor) -> None:
    """Run a visitor of a site, who gets its port."""

    async def main() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        site = Site(lambda: PAGE, "text/plain; version=0.0.4")
        await site.open([listener])
        try:
            await asyncio.wait_for(visitor(listener.getsockname()[1]), 30)
        finally:
            site.close()
            await asyncio.sleep(0)  # an aborted transport lets go of its socket one turn later

    asyncio.run(main())


async def answered(port: int, *pieces: bytes) -> bytes:
    """All that comes back until the site ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.01)
    answer = await reader.read()
    writer.close()
    return answer


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection; whether not an octet came before."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "pieces",
    [
        (GET,),
        tuple(GET[i : i + 1] for i in range(len(GET))),
        (b"GET /metrics HTTP/1.0\r\n\r\n",),
        (b"GET /metrics?debug=1 HTTP/1.1\r\nAccept: */*\r\n\r\n",),
        (GET + GET,),  # one request a connection
    ],
)
def test_the_page(pieces: tuple[bytes, ...]) -> None:
    async def visitor(port: int) -> None:
        head, _, content = (await answered(port, *pieces)).partition(b"\r\n\r\n")
        assert content == PAGE
        assert head.splitlines() == [
            b"HTTP/1.1 200 OK",
            b"Content-Type: text/plain; version=0.0.4",
            b"Content-Length: %d" % len(PAGE),
            b"Connection: close",
        ]

    visited(visitor)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", b"405 Method Not Allowed"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"405 Method Not Allowed"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /metrics/../secret HTTP/1.1\r\n\r\n", b"404 Not Found"),
        (b"GET /metrics HTTP/2.0\r\n\r\n", b"400 Bad Request"),
        (b"EHLO c\r\n\r\n", b"400 Bad Request"),
        (b"\0\xff\r\n\r\n", b"400 Bad Request"),
        (b"GET /metrics HTTP/1.1\r\n" + b"A: b\r\n" * 5000, b"431 Request Header Fields Too Large"),
        (b"GET /" + b"x" * 9000, b"431 Request Header Fields Too Large"),
    ],
)
def test_what_is_refused(request_: bytes, status: bytes) -> None:
    async def visitor(port: int) -> None:
        answer = await answered(port, request_)
        assert answer.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert PAGE not in answer
        assert (b"Allow: GET" in answer) == status.startswith(b"405")

    visited(visitor)


def test_one_that_never_ends_its_request_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "_PATIENCE", 0.2)

    async def visitor(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET[:-2])
        assert await ended(reader)
        writer.close()
        assert (await answered(port, GET)).endswith(PAGE)

    visited(visitor)


def test_one_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is more than all buffers on the way hold, so that it waits in the filter."""
    monkeypatch.setattr(s, "_PATIENCE", 0.2)
    size = 64 << 20

    class Watched(Site):
        left = asyncio.Event()

        def gone(self, visit: s._Visit) -> None:
            super().gone(visit)
            self.left.set()

    async def main() -> int:
        site = Watched(lambda: bytes(size), "text/plain")
        listener = socket.create_server(("127.0.0.1", 0))
        await site.open([listener])
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(GET)
            await site.left.wait()
            site.close()
            return received(client)

    assert 0 < asyncio.run(asyncio.wait_for(main(), 30)) < size


def received(client: socket.socket) -> int:
    """How many octets there are until the connection breaks."""
    octets = 0
    try:
        while piece := client.recv(1 << 20):
            octets += len(piece)
    except ConnectionResetError:
        return octets
    return octets


def test_no_more_than_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def visitor(port: int) -> None:
        seated = [await asyncio.open_connection("127.0.0.1", port) for _ in range(s._AT_A_TIME)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await ended(reader)
        writer.close()
        seated[0][1].write(GET)
        assert (await seated[0][0].read()).endswith(PAGE)
        assert (await answered(port, GET)).endswith(PAGE)
        for _, waiting in seated:
            waiting.close()

    visited(visitor)

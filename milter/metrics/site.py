"""The endpoint: ``GET /metrics`` over HTTP/1.1, one request a connection, and nothing else.

Every worker answers on the listener that they share, so that none that hangs or is started anew
keeps the metrics from being seen. What strangers may take up is bounded in octets, time and number;
RFC 9112 is followed as far as a single GET without content needs it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from http import HTTPStatus as Status
from typing import cast

PATH = b"/metrics"
# Octets of a request's header: Prometheus sends some 300, browsers up to a few thousand.
_LONGEST = 8192
# Connections at a time in each worker. Prometheus needs one; a page is answered at once.
_AT_A_TIME = 8
# Seconds from the connection to its end, for request and answer.
_PATIENCE = 5.0

_REQUEST = re.compile(rb"([!-~]+) ([!-~]+) HTTP/1\.[01]\r\n")


class Site:
    """Answers with what ``page`` returns, of the type ``kind``."""

    def __init__(self, page: Callable[[], bytes], kind: str) -> None:
        self._page = page
        self._kind = kind
        self._visits: set[_Visit] = set()
        self._servers: list[asyncio.Server] = []

    async def open(self, listeners: list[socket.socket]) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        for listener in listeners:
            self._servers.append(await loop.create_server(lambda: _Visit(self), sock=listener))

    def close(self) -> None:
        """End at once: who did not get the whole page asks again."""
        for server in self._servers:
            server.close()
        for visit in self._visits.copy():
            visit.abort()

    def arrived(self, visit: _Visit) -> bool:
        """Whether there is room for one more."""
        if len(self._visits) >= _AT_A_TIME:
            return False
        self._visits.add(visit)
        return True

    def gone(self, visit: _Visit) -> None:
        """A connection is over."""
        self._visits.discard(visit)

    def answer(self, request: bytes) -> bytes:
        """The whole answer to a request's header."""
        status = _status(request)
        content = self._page() if status is Status.OK else f"{status.phrase}\n".encode()
        fields = [
            f"HTTP/1.1 {status.value} {status.phrase}",
            f"Content-Type: {self._kind if status is Status.OK else 'text/plain'}",
            f"Content-Length: {len(content)}",
            "Connection: close",
        ]
        if status is Status.METHOD_NOT_ALLOWED:
            fields.append("Allow: GET")
        return "\r\n".join([*fields, "", ""]).encode("latin-1") + content


def _status(request: bytes) -> Status:
    if len(request) > _LONGEST:
        return Status.REQUEST_HEADER_FIELDS_TOO_LARGE
    line = _REQUEST.match(request)
    if not line:
        return Status.BAD_REQUEST
    method, target = line.groups()
    if target.partition(b"?")[0] != PATH:
        return Status.NOT_FOUND
    return Status.OK if method == b"GET" else Status.METHOD_NOT_ALLOWED


class _Visit(asyncio.Protocol):
    """One connection: octets until the header's end, the answer, and the end."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._request = b""
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._end = asyncio.get_running_loop().call_later(_PATIENCE, self._transport.abort)
        if not self._site.arrived(self):
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self._answered:
            return
        self._request += data
        if b"\r\n\r\n" in self._request or len(self._request) > _LONGEST:
            self._answered = True
            self._transport.write(self._site.answer(self._request))
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        self._site.gone(self)

    def abort(self) -> None:
        """End it without a word."""
        self._transport.abort()

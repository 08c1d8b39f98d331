"""One connection's octets, in and out: what asyncio's streams do, for a third of what they cost.

A mail has a session wait some thirteen times. Streams make a timer and several objects for each
wait; here a connection has one timer, which is moved, and octets are handed on as they came from
the kernel.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

# Octets a read. DATA in chunks costs a tenth of DATA in lines; larger chunks would be quicker
# still, but with many large mails under way each small one waits for a chunk of all the others.
READ = 32768
# Octets that may have arrived and not be read before the other side is made to wait.
_MOST = 2 * READ


class Wire(asyncio.Protocol):
    """One connection, used by one task at a time.

    Times are the loop's (``loop.time()``). What waits raises ``TimeoutError`` when the time has
    come, and the ``OSError`` that broke the connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = loop.time
        self.arrived = b""  # and was not read
        self.ended = False  # the other side sends no more, as far as is known here
        self.full = False  # the other side takes less than we send: wait for ``sent``
        self._transport: asyncio.Transport | None = None
        self._lost = False
        self._fault: Exception | None = None  # what the connection was lost by
        self._holding_back = False  # more has arrived than may
        self._waiter: asyncio.Future[None] | None = None
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- what the task asks for -----------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """What asyncio has the connection in."""
        assert self._transport
        return self._transport

    async def read(self, until: float) -> bytes:
        """All that has arrived, an octet at least; nothing where the other side has ended."""
        if self._fault:  # whoever reset the connection is past all answers: leave what came before
            raise self._fault
        while not self.arrived and not self.ended:
            await self._event(until)
        if self._fault and not self.arrived:
            raise self._fault
        octets, self.arrived = self.arrived, b""
        if self._holding_back:
            self._holding_back = False
            self.transport.resume_reading()
        return octets

    def write(self, octets: bytes) -> None:
        """Send; where ``full`` is set afterwards, ``sent`` is to be waited for."""
        if self._lost:
            raise self._fault or ConnectionResetError("the connection is closed")
        self.transport.write(octets)

    async def sent(self, until: float) -> None:
        """Wait until no more than a little is left to be sent."""
        while self.full and not self._lost:
            await self._event(until)
        if self._lost:
            raise self._fault or ConnectionResetError("the connection is closed")

    def say(self, octets: bytes) -> None:
        """Send to somebody who may be gone, and do not wait."""
        if not self.transport.is_closing():
            self.transport.write(octets)

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None
    ) -> None:
        """Go over to TLS."""
        transport = await self._loop.start_tls(
            self.transport,
            self,
            context,
            server_side=server_side,
            server_hostname=server_hostname,
        )
        if not transport:  # asyncio's way to say so
            raise ConnectionResetError("it hung up within the TLS handshake")
        self._transport = transport

    def close(self) -> None:
        """Hang up when all is sent."""
        self.transport.close()

    def abort(self) -> None:
        """Hang up; what is not sent yet is never sent."""
        self.transport.abort()

    def _event(self, until: float) -> asyncio.Future[None]:
        """What is done when something happens."""
        self._until = until
        if not self._timer:
            self._timer = self._loop.call_at(until, self._on_time)
        elif until < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(until, self._on_time)
        self._waiter = self._loop.create_future()
        return self._waiter

    # --- what asyncio tells ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read in chunks of our size; asyncio's own are eight times as large."""
        transport = cast(asyncio.Transport, transport)
        if hasattr(transport, "max_size"):
            transport.max_size = READ
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what arrived."""
        self.arrived = self.arrived + data if self.arrived else data
        if len(self.arrived) > _MOST and not self._holding_back:
            self._holding_back = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Stay open: what was received whole is still answered. Under TLS that cannot be."""
        self.ended = True
        self._wake()
        return self.transport.get_extra_info("sslcontext") is None

    def pause_writing(self) -> None:
        """The other side takes less than we send."""
        self.full = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.full = False
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """By itself or by us."""
        self.ended = self._lost = True
        self._fault = exc
        self._wake()
        if self._timer:
            self._timer.cancel()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _on_time(self) -> None:
        """The timer's time, which may have been put off since it was set."""
        self._timer = None
        if not self._waiter or self._waiter.done():
            return
        if self._loop.time() < self._until:
            self._timer = self._loop.call_at(self._until, self._on_time)
        else:
            self._waiter.set_exception(TimeoutError())

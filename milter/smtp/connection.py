"""The sender's connection: octets to command lines, replies to octets, faults to a last reply.

aiosmtpd supplies the protocol object that a connection begins with; what it does with it is
replaced: it logs every line, cancels a delivery when the sender hangs up, takes a bare LF for a
line end, and shows a stranger the text of an exception. Octets go by ``milter.smtp.wire``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from aiosmtpd.smtp import SMTP

from milter.smtp import reply as r
from milter.smtp.reply import Reply
from milter.smtp.wire import Wire

log = logging.getLogger(__name__)

# Postfix refuses above 2,048 (line_length_limit); its own longest command is MAIL with parameters.
MAX_COMMAND = 4096


class SenderLost(Exception):
    """The sender closed the connection, was silent for too long, or sent without end."""


class OctetsBehindData(Exception):
    """Octets were waiting behind the end of data, or behind STARTTLS, where none may be."""


class Connection(SMTP):
    """What every session does, whatever its commands; subclasses say those in ``_converse``.

    ``idle`` is how long (seconds) a sender may be silent.
    """

    def __init__(self, idle: float) -> None:
        # Without aiosmtpd's own: it looks through all attributes for commands of its kind, makes a
        # stream that nobody reads, and leaves a cycle to the garbage collector. None of that is
        # used here, and it is a tenth of what a mail costs.
        self.loop = asyncio.get_running_loop()
        self._handler_coroutine: asyncio.Task[None] | None = None
        self._wire = Wire(self.loop)
        self._idle = idle
        self._peer = ""  # who is connected: an address, or "local" on a Unix socket
        self._buffer = b""
        self._busy = False  # between a command's last octet and its reply, or within a mail
        self._leaving = False  # say no more after the next reply
        self._stopping = False  # leave when the mail under way is finished
        self.on_end: Callable[[Connection], None] = lambda _: None

    async def _converse(self) -> None:
        """The session from the greeting to its end."""
        raise NotImplementedError

    async def _hang_up(self) -> None:
        """Called at the session's end, however it came."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the session.

        aiosmtpd is told no more of the connection: it would cancel the session when the sender
        hangs up, in the middle of a delivery if need be. A mail whose final dot is on its way to
        the next hop must be followed to its end.
        """
        transport = cast(asyncio.Transport, transport)
        transport.set_protocol(self._wire)
        self._wire.connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else "local"
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that the session runs in."""
        return self._handler_coroutine

    def leave(self) -> None:
        """End the session as soon as no mail is under way: at once where none is."""
        self._stopping = True
        if not self._busy and self.task:
            self.task.cancel()

    async def _handle_client(self) -> None:
        """The session as a whole."""
        try:
            await self._converse()
        except SenderLost as lost:
            log.info("sender %s gone: %s", self._peer, lost)
        except OctetsBehindData:
            log.error(
                "octets waiting from %s behind the end of data or STARTTLS: nothing was delivered. "
                "Somebody may be trying to smuggle a second mail in.",
                self._peer,
            )
            self._say_last(r.OCTETS_BEHIND_DATA)
        except OSError as error:
            log.info("connection to sender %s broke: %s", self._peer, error)
        except asyncio.CancelledError:
            self._say_last(r.SHUTTING_DOWN)
        except Exception:
            log.exception("fault of ours in the session with %s", self._peer)
            self._say_last(r.LOCAL_FAULT)
        finally:
            self.on_end(self)
            await self._hang_up()
            self._wire.close()

    async def _say(self, reply: Reply) -> None:
        self._wire.write(reply.octets)
        if self._wire.full:
            await self._wire.sent(self._wire.now() + self._idle)

    def _say_last(self, reply: Reply) -> None:
        """A reply to a peer that may be gone."""
        self._wire.say(reply.octets)

    async def _more(self) -> bytes:
        """The next octets from the sender."""
        try:
            octets = await self._wire.read(self._wire.now() + self._idle)
        except TimeoutError:
            self._say_last(r.TOO_SLOW)
            raise SenderLost(f"silent for {self._idle:g} s") from None
        if not octets:
            raise SenderLost("it closed the connection")
        return octets

    async def _next_line(self) -> bytes | None:
        """One command line with its line end; None for one that is too long, which is skipped."""
        overlong = False
        while (end := self._buffer.find(b"\n") + 1) == 0:
            if len(self._buffer) > MAX_COMMAND:
                overlong, self._buffer = True, b""
            self._buffer += await self._more()
        line, self._buffer = self._buffer[:end], self._buffer[end:]
        return None if overlong or len(line) > MAX_COMMAND else line

    async def _octets_waiting(self) -> bytes:
        """What the sender has already sent behind what was read, as far as it has arrived."""
        # The loop finds what the kernel holds in one turn, and takes it in in the next.
        for _ in range(2):
            await asyncio.sleep(0)
        return self._buffer + self._wire.arrived

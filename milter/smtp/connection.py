"""The sender's connection: octets to command lines, replies to octets, faults to a last reply.

aiosmtpd supplies the protocol object (connection, streams); what it does with them is replaced:
it logs every line, cancels a delivery when the sender hangs up, takes a bare LF for a line end,
and shows a stranger the text of an exception.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio.streams import StreamReaderProtocol
from collections.abc import Callable, Iterable

from aiosmtpd.smtp import SMTP

from milter.smtp import reply as r
from milter.smtp.reply import Reply

log = logging.getLogger(__name__)

# Octets a read. DATA in chunks costs a tenth of DATA in lines; larger chunks would be quicker
# still, but with many large mails under way each small one waits for a chunk of all the others.
READ = 32768
# Postfix refuses above 2,048 (line_length_limit); its own longest command is MAIL with parameters.
MAX_COMMAND = 4096


class SenderLost(Exception):
    """The sender closed the connection, was silent for too long, or sent without end."""


class OctetsBehindData(Exception):
    """Octets were waiting behind the end of data, or behind STARTTLS, where none may be."""


class _Unsearched:
    """What aiosmtpd finds no methods in.

    At each connection it goes through all attributes for ``smtp_``, ``auth_`` and ``handle_``,
    which takes longer than all else at its beginning; none of them is used here.
    """

    def __dir__(self) -> Iterable[str]:
        return ()


_NO_HANDLER = _Unsearched()


class Connection(_Unsearched, SMTP):
    """What every session does, whatever its commands; subclasses say those in ``_converse``.

    ``idle`` is how long (seconds) a sender may be silent.
    """

    line_length_limit = READ  # what asyncio buffers before it makes the sender wait

    def __init__(self, hostname: str, idle: float) -> None:
        super().__init__(_NO_HANDLER, hostname=hostname, loop=asyncio.get_running_loop())
        self._idle = idle
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
        """Read in chunks of our size; asyncio's own are eight times as large."""
        if hasattr(transport, "max_size"):
            transport.max_size = READ
        super().connection_made(transport)

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that the session runs in."""
        return self._handler_coroutine

    def leave(self) -> None:
        """End the session as soon as no mail is under way: at once where none is."""
        self._stopping = True
        if not self._busy and self.task:
            self.task.cancel()

    def eof_received(self) -> bool | None:
        """Let the loop find the end of the stream by itself.

        aiosmtpd cancels the session here, in the middle of a delivery if need be; a mail whose
        final dot is on its way to the next hop must be followed to its end.
        """
        return StreamReaderProtocol.eof_received(self)

    def connection_lost(self, error: Exception | None) -> None:
        """As ``eof_received``: no cancelling."""
        StreamReaderProtocol.connection_lost(self, error)
        self.transport = None

    def _reset_timeout(self, duration: float | None = None) -> None:
        """No timer of aiosmtpd's: it closes the connection without a reply. Ours is in _more."""

    async def _handle_client(self) -> None:
        """The session as a whole; aiosmtpd starts this as a task when a connection is made."""
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
            self._writer.close()

    @property
    def _peer(self) -> str:
        """Who is connected: an address, or ``local`` on a Unix socket."""
        peer = self.session.peer if self.session else None
        return str(peer[0]) if isinstance(peer, tuple) else "local"

    async def _say(self, reply: Reply) -> None:
        self._writer.write(reply.octets)
        await self._writer.drain()

    def _say_last(self, reply: Reply) -> None:
        """A reply to a peer that may be gone."""
        if not self._writer.is_closing():
            self._writer.write(reply.octets)

    async def _more(self) -> bytes:
        """The next octets from the sender."""
        try:
            async with asyncio.timeout(self._idle):
                octets = await self._reader.read(READ)
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
        arrived: bytearray = self._reader._buffer  # type: ignore[attr-defined]
        return self._buffer + bytes(arrived)

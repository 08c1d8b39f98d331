"""What stands behind the filter: the interface, and the exact SMTP client to Postfix.

The client is our own because library clients rewrite what they send: bare CR and LF, dots, cases,
parameters. Here a command goes out as it came in, and a reply comes back as it was made.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol

from milter.errors import NextHopError, NextHopUnsure
from milter.smtp import data, xforward
from milter.smtp import reply as r
from milter.smtp.command import Address
from milter.smtp.endpoint import Endpoint
from milter.smtp.idle import Capabilities, Idle, Link
from milter.smtp.reply import Reply, ReplyReader
from milter.smtp.wire import Wire

log = logging.getLogger(__name__)

# Octets of content a write, at least. A small mail goes out with its final dot in one.
_WRITE = 32768


class NextHop(Protocol):
    """One session with what takes the mail next. Faults raise ``NextHopError``.

    ``open`` may be called again after a fault or ``close``; it does nothing while connected.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it announced at the last ``open``."""

    async def open(self) -> None:
        """Connect and say EHLO, unless connected."""

    async def mail(self, sender: Address, client: Mapping[bytes, bytes]) -> Reply:
        """Begin a mail, telling about the ``client`` (XFORWARD attributes) before it."""

    async def rcpt(self, recipient: Address) -> Reply:
        """Name a recipient."""

    async def deliver(self, pieces: Iterable[bytes]) -> Reply:
        """Hand the mail's content over, CRLF lines in pieces; its reply is the mail's fate."""

    async def reset(self) -> None:
        """Give the mail under way up, if there is one."""

    async def close(self) -> None:
        """End the session; never raises, and never ends a mail that is under way."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Together they stay under the 100 s that Postfix waits (smtpd_proxy_timeout)."""

    connect: float = 5.0  # on one host or in one rack: what does not answer in 5 s is down
    reply: float = 30.0  # to a command; Postfix answers at once unless a policy service hangs
    final: float = 60.0  # to the final dot: body milters and the queue's fsync happen there
    total: float = 90.0  # from DATA to the reply to the final dot, all in all


@dataclass(frozen=True, slots=True)
class NextHopTls:
    """How to encrypt: a context that checks certificates, and the name that they must bear."""

    context: ssl.SSLContext
    name: str


class SmtpNextHop:
    """A session with an SMTP server.

    Where there are ``idle`` connections it takes one of them, and leaves its own there at the end.
    """

    _hello_verb = b"EHLO"

    def __init__(
        self,
        endpoint: Endpoint,
        hostname: str,
        timeouts: Timeouts,
        tls: NextHopTls | None = None,
        idle: Idle | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._hostname = hostname
        self._timeouts = timeouts
        self._idle = idle
        self._link: Link | None = None
        self._until = math.inf  # when all that is being done must be done (the loop's time)
        self._mail_under_way = False
        self.capabilities: Capabilities = {}

    async def open(self) -> None:
        """Connect, read the greeting, say EHLO (or HELO to a server that knows no EHLO)."""
        if self._link and not self._mail_under_way and self._link.stale:
            self._abort()  # it timed out between two mails: begin anew
        if not self._link and self._idle and (kept := self._idle.take()):
            self._link, self.capabilities = kept, kept.capabilities
        if not self._link:
            await self._open_anew()

    async def _open_anew(self) -> None:
        self._until = _now() + self._timeouts.connect
        try:
            with self._idle.wanting() if self._idle else nullcontext():
                await self._open()
        except OSError as error:  # TimeoutError and ssl.SSLError are OSErrors
            raise self._broken(error) from error
        except BaseException:  # cancelled, too: it may not even be connected
            self._abort()
            raise
        finally:
            self._until = math.inf

    async def _open(self) -> None:
        self._link = Link.new(await self._endpoint.connect(self._until))
        greeting = await self._reply(self._timeouts.connect)
        if greeting.code != 220:
            raise NextHopError(f"{self._endpoint} greets with {greeting}")
        await self._hello()
        if self._tls:
            await self._start_tls(self._tls)
            await self._hello()
        self._link.capabilities = self.capabilities

    async def _hello(self) -> None:
        name = self._hostname.encode("ascii", "replace")
        reply = await self._command(self._hello_verb + b" " + name, self._timeouts.connect)
        if reply.positive:
            self.capabilities = _announced(reply)
            return
        self.capabilities = {}
        if self._hello_verb == b"EHLO":
            reply = await self._command(b"HELO " + name, self._timeouts.connect)
        if not reply.positive:
            raise NextHopError(f"{self._endpoint} answers our greeting with {reply}")

    async def _start_tls(self, tls: NextHopTls) -> None:
        """Encrypt, and check the certificate; a next hop that cannot is not talked to."""
        if b"STARTTLS" not in self.capabilities:
            raise NextHopError(f"{self._endpoint} offers no STARTTLS, and TLS is required")
        reply = await self._command(b"STARTTLS", self._timeouts.connect)
        if reply.code != 220:
            raise NextHopError(f"{self._endpoint} answers STARTTLS with {reply}")
        async with asyncio.timeout_at(self._until):
            await self._connected().start_tls(
                tls.context, server_side=False, server_hostname=tls.name
            )

    async def mail(self, sender: Address, client: Mapping[bytes, bytes]) -> Reply:
        """XFORWARD as far as it is announced, then MAIL."""
        await self.reset()  # it still has the envelope of a mail whose DATA it refused
        await self.open()
        assert self._link
        if not self._link.used:
            return await self._begin(sender, client)
        with suppress(NextHopError):
            reply = await self._begin(sender, client)
            if reply.code != 421:
                return reply
        # One that was used before may time out at this very moment. Nothing of this mail is lost.
        await self._open_again()
        return await self._begin(sender, client)

    async def _open_again(self) -> None:
        """Connect anew within a mail, whose sender was told what could be done before."""
        before = self.capabilities
        await self._open_anew()
        if not before.keys() <= self.capabilities.keys():
            await self.close()
            raise NextHopError(f"{self._endpoint} can do less than a moment ago")

    async def _begin(self, sender: Address, client: Mapping[bytes, bytes]) -> Reply:
        assert self._link
        self._link.mails += 1
        if client:
            await self._xforward(client)
        reply = await self._command(b"MAIL FROM:" + bytes(sender), self._timeouts.reply)
        self._mail_under_way = reply.positive
        return reply

    async def _xforward(self, client: Mapping[bytes, bytes]) -> None:
        announced = self.capabilities.get(b"XFORWARD", b"").upper().split()
        for line in xforward.commands(client, announced):
            reply = await self._command(line, self._timeouts.reply)
            if not reply.positive:  # it is for the next hop's log only: no reason to stop a mail
                log.warning("next hop %s answers XFORWARD with %s", self._endpoint, reply)

    async def rcpt(self, recipient: Address) -> Reply:
        """RCPT."""
        return await self._command(b"RCPT TO:" + bytes(recipient), self._timeouts.reply)

    async def deliver(self, pieces: Iterable[bytes]) -> Reply:
        """DATA, the content, the final dot.

        A connection that breaks before the dot is sent loses nothing: the sender still has the
        mail. One that breaks behind it leaves us unsure (``NextHopUnsure``): the next hop may
        have the mail, the sender will send it again. SMTP cannot close that window (RFC 1047).
        """
        self._until = _now() + self._timeouts.total
        try:
            return await self._deliver(pieces)
        except BaseException:  # cancelled, or the disk failed: no dot may follow what was sent
            self._abort()
            raise
        finally:
            self._until = math.inf

    async def _deliver(self, pieces: Iterable[bytes]) -> Reply:
        reply = await self._command(b"DATA", self._timeouts.reply, wanted=3)
        if reply.code != 354:
            if reply.final and not reply.positive:
                return reply
            await self.close()
            raise NextHopError(f"{self._endpoint} answers DATA with {reply}")
        self._mail_under_way = False
        last = await self._send_content(pieces)
        try:
            self._write(last)
            await self._taken_in()
            reply = await self._answer(self._timeouts.final)
        except NextHopError as error:
            raise NextHopUnsure(f"{error}, behind our final dot") from error
        if not reply.final:
            await self.close()
            raise NextHopError(f"{self._endpoint} answers the final dot with {reply}")
        return reply

    async def _send_content(self, pieces: Iterable[bytes]) -> bytes:
        """Send most of the content; the octets that are left, of a small mail all, with the dot."""
        encoder = data.DataEncoder()
        unsent = b""
        for piece in pieces:
            unsent += piece
            if len(unsent) >= _WRITE:
                self._write(encoder.encode(unsent))
                unsent = b""
                await self._taken_in()
                await asyncio.sleep(0)  # it takes all in at once: let others have a turn
        if _now() >= self._until:
            raise NextHopError(f"{self._endpoint}: too slow, all in all")
        return encoder.encode(unsent) + encoder.end()

    async def reset(self) -> None:
        """RSET if a mail is under way; a next hop that cannot do that is hung up on."""
        if self._mail_under_way and self._link:
            self._mail_under_way = False
            reply = await self._command(b"RSET", self._timeouts.reply)
            if not reply.positive:
                await self.close()

    async def close(self) -> None:
        """Leave the connection to others, or say QUIT. A mail that had no dot is given up."""
        link, under_way = self._link, self._mail_under_way
        self._link, self._mail_under_way = None, False
        if link and self._idle and not under_way:
            self._idle.keep(link)
        elif link:
            link.quit()

    async def _command(self, line: bytes, timeout: float, wanted: int = 2) -> Reply:
        """The reply to a command; ``wanted`` is the first digit of one that all is well after."""
        if self._connected().arrived:  # it would be taken for the reply
            raise self._broken(ConnectionResetError("said something unasked"))
        self._write(line + b"\r\n")
        return await self._answer(timeout, wanted)

    async def _answer(self, timeout: float, wanted: int = 2) -> Reply:
        """The reply to what was sent. Until it has come, nobody else may have the connection."""
        assert self._link
        link, spotless = self._link, self._link.spotless
        link.spotless = False
        reply = await self._reply(timeout)
        link.spotless = spotless and reply.code // 100 == wanted
        if reply.code == 421:  # RFC 5321 3.8: it is closing the connection
            await self.close()
        return reply

    def _write(self, octets: bytes) -> None:
        try:
            self._connected().write(octets)
        except OSError as error:
            raise self._broken(error) from error

    async def _reply(self, timeout: float) -> Reply:
        """The next reply."""
        wire, replies = self._connected(), ReplyReader()
        until = min(wire.now() + timeout, self._until)
        try:
            while octets := await wire.read(until):
                if reply := replies.feed(octets):
                    return reply
        except (OSError, ValueError) as error:
            raise self._broken(error) from error
        raise self._broken(ConnectionResetError("closed the connection"))

    async def _taken_in(self) -> None:
        """Wait for a next hop that takes content in more slowly than it comes."""
        wire = self._connected()
        if not wire.full:
            return
        try:
            await wire.sent(min(wire.now() + self._timeouts.final, self._until))
        except OSError as error:
            raise self._broken(error) from error

    def _connected(self) -> Wire:
        if not self._link:
            raise NextHopError(f"{self._endpoint} has closed the connection")
        return self._link.wire

    def _broken(self, error: Exception) -> NextHopError:
        """Hang up on account of ``error``, which is not one of ours."""
        self._abort()
        return NextHopError(f"{self._endpoint}: {_cause(error)}")

    def _abort(self) -> None:
        """Hang up without a word: nothing that is still buffered may reach the next hop."""
        link, self._link, self._mail_under_way = self._link, None, False
        if link:
            link.wire.abort()


class LmtpNextHop(SmtpNextHop):
    """A session with an LMTP server (RFC 2033), such as Dovecot's.

    LMTP answers the final dot once for each recipient, SMTP once for all: a mail of which one copy
    was taken and another refused has no true answer. So each mail gets one recipient; the others
    are answered 452, upon which the sender sends them copies of their own (RFC 5321 4.5.3.1.10).
    """

    _hello_verb = b"LHLO"

    async def mail(self, sender: Address, client: Mapping[bytes, bytes]) -> Reply:
        """MAIL; recipients are counted anew."""
        self._recipients = 0
        return await super().mail(sender, client)

    async def rcpt(self, recipient: Address) -> Reply:
        """RCPT, once."""
        if self._recipients:
            return r.ONE_RECIPIENT
        reply = await super().rcpt(recipient)
        self._recipients += reply.positive
        return reply


@lru_cache(maxsize=64)  # a server says the same all day
def _announced(reply: Reply) -> Capabilities:
    words = (text.partition(b" ") for text in reply.texts[1:])
    return MappingProxyType({name.upper(): parameters for name, _, parameters in words})


def _now() -> float:
    return asyncio.get_running_loop().time()


def _cause(error: BaseException) -> str:
    """What went wrong, in words for the log."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__

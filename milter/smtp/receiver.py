"""The receiving side: one SMTP session, command by command.

aiosmtpd's own commands answer 555 to DSN parameters, rewrite ENVID and ORCPT, and refuse long
lines for good; none of them is used. One method a command, each returning its reply; one loop
reads commands, sends replies and counts faults. What a session may do when is the table in
``milter.smtp.command``.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address

from milter.errors import NextHopError, NextHopUnsure
from milter.smtp import reply as r
from milter.smtp import xforward
from milter.smtp.command import ALLOWED, WITHOUT_TLS, Address, Command, State, out_of_place
from milter.smtp.connection import Connection, OctetsBehindData, SenderLost
from milter.smtp.content import Content
from milter.smtp.data import DataDecoder
from milter.smtp.envelope import Envelope, Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply

log = logging.getLogger(__name__)

#: Called with each mail that came in whole; delivers it to the next hop and returns the reply.
Route = Callable[[Transaction, NextHop], Awaitable[Reply]]

# Of the next hop's keywords only those are handed on for which the filter is transparent.
_HANDED_ON = {
    word.encode(): word
    for word in ("8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "REQUIRETLS")
}
_XFORWARD = "XFORWARD " + b" ".join(xforward.ATTRIBUTES).decode()


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """What a session may do; the reasons for the defaults stand in ``milter.config``."""

    hostname: str
    before_queue: bool
    stray_line_ends: str
    xforward_peers: tuple[IPv4Network | IPv6Network, ...]
    message_size: int
    memory: int
    errors: int
    commands: int
    idle: float
    tls: ssl.SSLContext | None = None
    tls_required: bool = False


class Receiver(Connection):
    """One session. ``settings`` bound it, ``next_hop`` is its own, ``route`` takes its mails."""

    def __init__(self, settings: ReceiverSettings, next_hop: NextHop, route: Route) -> None:
        super().__init__(settings.idle)
        self._settings = settings
        self._next_hop = next_hop
        self._route = route
        self._state = State.CONNECTED
        self._errors = 0
        self._commands = 0  # since the last mail
        self._mails = 0
        self._tls = False
        self._client: dict[bytes, bytes] = {}
        self._mail: Envelope | None = None

    async def _converse(self) -> None:
        await self._say(_our_reply(220, "", f"{self._settings.hostname} ESMTP"))
        while not self._leaving:
            line = await self._next_line()
            self._busy = True
            reply = await self._answer(line)
            await self._say(reply)
            if reply is r.TLS_GO_AHEAD:
                await self._start_tls()
            self._busy = self._state in (State.MAIL, State.RCPT)
            self._leaving |= self._stopping and not self._busy
            self._count(reply)
        if self._errors > self._settings.errors:
            await self._say(r.TOO_MANY_ERRORS)
        elif self._commands > self._settings.commands:
            await self._say(r.TOO_MANY_COMMANDS)

    async def _hang_up(self) -> None:
        await self._next_hop.close()

    async def _answer(self, line: bytes | None) -> Reply:
        """The reply to one command line; None stands for a line that was too long."""
        if line is None:
            return r.LINE_TOO_LONG
        if not line.endswith(b"\r\n"):
            self._leaving = True  # what else this peer takes for a line end is anybody's guess
            return r.BARE_LF
        command = Command.parse(line[:-2])
        if command.verb not in ALLOWED:
            return r.UNKNOWN_COMMAND
        if self._state not in ALLOWED[command.verb]:
            return out_of_place(command.verb, self._state)
        if self._settings.tls_required and not self._tls and command.verb not in WITHOUT_TLS:
            return r.TLS_FIRST
        try:
            return await _METHODS[command.verb](self, command.argument)
        except NextHopError as error:
            return await self._next_hop_failed(error)

    async def _next_hop_failed(self, error: NextHopError) -> Reply:
        """Give the mail up; the sender still has it and is told to try again."""
        log.warning("mail %s: next hop failed: %s", self._mail.id if self._mail else "-", error)
        self._forget_mail()
        self._state = State.BROKEN
        await self._next_hop.close()
        return r.NEXT_HOP_LOST if isinstance(error, NextHopUnsure) else r.NEXT_HOP_DOWN

    def _count(self, reply: Reply) -> None:
        """Count commands and faults, and leave where there are too many."""
        self._commands += 1
        if reply.code >= 500:
            self._errors += 1
        too_many = self._errors > self._settings.errors or self._commands > self._settings.commands
        if reply.code == 421 or too_many:
            self._leaving = True

    # --- commands -----------------------------------------------------------------------

    async def _ehlo(self, name: bytes) -> Reply:
        if not name:
            return r.BAD_SYNTAX
        await self._greeted()
        return _our_reply(250, "", self._settings.hostname, *self._announced())

    async def _helo(self, name: bytes) -> Reply:
        if not name:
            return r.BAD_SYNTAX
        await self._greeted()
        return _our_reply(250, "", self._settings.hostname)

    async def _greeted(self) -> None:
        """Begin anew, and know the next hop, so that EHLO can say what it can do.

        If it cannot be reached now, MAIL says so: Postfix shows its client no more than a generic
        fault for a refused EHLO.
        """
        await self._rset(b"")
        self._state = State.READY
        try:
            await self._next_hop.open()
        except NextHopError as error:
            log.warning("next hop failed at EHLO: %s", error)

    def _announced(self) -> list[str]:
        """EHLO keywords: what the next hop can do, and what the filter itself adds or bounds."""
        theirs = self._next_hop.capabilities
        keywords = [f"SIZE {self._size_limit()}"]
        if not self._settings.before_queue:
            keywords.insert(0, "PIPELINING")
        keywords += [word for octets, word in _HANDED_ON.items() if octets in theirs]
        if self._settings.tls and not self._tls:
            keywords.append("STARTTLS")
        if self._may_xforward():
            keywords.append(_XFORWARD)
        return keywords

    def _size_limit(self) -> int:
        theirs = self._next_hop.capabilities.get(b"SIZE", b"")
        limit = int(theirs) if theirs.isdigit() and len(theirs) < 20 else 0
        return min(limit or self._settings.message_size, self._settings.message_size)

    def _may_xforward(self) -> bool:
        if self._peer == "local":
            return True  # a Unix socket's permissions have decided that already
        return _is_among(self._peer, self._settings.xforward_peers)

    async def _xforward(self, argument: bytes) -> Reply:
        if not self._may_xforward():
            return r.NO_PEER
        attributes = xforward.parse(argument)
        if attributes is None:
            return r.BAD_SYNTAX
        self._client |= attributes
        return r.OK

    async def _starttls(self, argument: bytes) -> Reply:
        if argument:
            return r.NO_ARGUMENT
        if not self._settings.tls or self._tls:
            return r.NO_TLS
        # Octets that came in plain text behind STARTTLS are an attacker's, who wants them taken
        # for the client's own words (CVE-2024-34083 and its kin): no TLS then, and no session.
        if await self._octets_waiting():
            raise OctetsBehindData
        # What comes behind our 220 is TLS: leave it to that.
        self._wire.transport.pause_reading()
        return r.TLS_GO_AHEAD

    async def _start_tls(self) -> None:
        """Go over to TLS, and forget what was said before (RFC 3207 4.2)."""
        assert self._settings.tls
        await self._wire.start_tls(self._settings.tls, server_side=True)
        self._tls = True
        await self._rset(b"")
        self._state = State.CONNECTED

    async def _mail_from(self, argument: bytes) -> Reply:
        sender = Address.parse(b"FROM", argument)
        if sender is None:
            return r.BAD_SYNTAX
        if self._mails and self._settings.before_queue:
            return r.ONE_MAIL_ONLY
        if sender.size > self._settings.message_size:
            return r.TOO_LARGE
        attributes = self._client
        self._mail = Envelope(sender, client=xforward.client(attributes), attributes=attributes)
        await self._next_hop.open()
        if sender.wants(b"SMTPUTF8") and b"SMTPUTF8" not in self._next_hop.capabilities:
            return r.NO_SMTPUTF8
        if b"SIZE" not in self._next_hop.capabilities:
            sender = sender.without(b"SIZE")  # we announced it for ourselves (RFC 1870)
            self._mail.sender = sender
        reply = self._handed_back(await self._next_hop.mail(sender, self._client))
        if reply.positive:
            self._state = State.MAIL
        return reply

    async def _rcpt_to(self, argument: bytes) -> Reply:
        if self._state is State.BROKEN:
            return r.NEXT_HOP_LOST
        assert self._mail
        recipient = Address.parse(b"TO", argument)
        if recipient is None:
            return r.BAD_SYNTAX
        reply = self._handed_back(await self._next_hop.rcpt(recipient))
        if reply.positive:
            self._mail.recipients.append(recipient)
            self._state = State.RCPT
        return reply

    def _handed_back(self, reply: Reply) -> Reply:
        """The next hop's reply, unless it is none that MAIL or RCPT can have."""
        if not reply.final:
            raise NextHopError(f"out of step: {reply}")
        return reply

    async def _rset(self, argument: bytes) -> Reply:
        self._forget_mail()
        await self._next_hop.reset()
        return r.OK

    def _forget_mail(self) -> None:
        """Back to between mails; XFORWARD attributes hold for one mail (XFORWARD_README)."""
        self._mail = None
        self._client = {}
        if self._state is not State.CONNECTED:
            self._state = State.READY

    async def _noop(self, argument: bytes) -> Reply:
        return r.OK

    async def _vrfy(self, argument: bytes) -> Reply:
        return r.VRFY_UNSURE if argument else r.BAD_SYNTAX

    async def _quit(self, argument: bytes) -> Reply:
        self._leaving = True
        return r.BYE

    # --- the mail itself ----------------------------------------------------------------

    async def _data(self, argument: bytes) -> Reply:
        if argument:
            return r.NO_ARGUMENT
        if self._state is State.BROKEN:
            return r.NEXT_HOP_LOST
        if self._state is State.MAIL:
            return r.NO_RECIPIENTS
        await self._say(r.GO_AHEAD)
        received = await self._receive()
        if isinstance(received, Reply):
            await self._rset(b"")
            return received
        self._mails += 1
        self._commands = 0
        try:
            reply = await self._route(received, self._next_hop)
        except OSError as error:  # the disk: what the next hop does wrong is a NextHopError
            raise NextHopError(f"the mail cannot be read back: {error.strerror}") from error
        finally:
            received.content.close()
        self._forget_mail()
        return reply

    async def _receive(self) -> Transaction | Reply:
        """The content up to the end of data, or why it is refused."""
        assert self._mail
        decoder = DataDecoder()
        content = Content(self._settings.memory)
        try:
            refused = await self._read_data(decoder, content)
            if self._settings.before_queue:
                await self._nothing_behind_data()
        except BaseException:
            content.close()
            raise
        if decoder.stray and self._settings.stray_line_ends == "reject":
            refused = refused or r.STRAY_LINE_END
        if refused:
            content.close()
            return refused
        return Transaction(self._mail, content, decoder.stray)

    async def _read_data(self, decoder: DataDecoder, content: Content) -> Reply | None:
        """Read to the end of data, where a refusal can be said; a sender without end is cut off."""
        refused = None
        left = 2 * self._settings.message_size
        while True:
            octets, self._buffer = self._buffer, b""
            if not octets:
                octets = await self._more()
                left -= len(octets)
            if left < 0:
                self._say_last(r.MUCH_TOO_LARGE)
                raise SenderLost("it sent twice the limit and more, without end")
            piece = decoder.feed(octets)
            refused = refused or self._kept(content, piece)
            if decoder.done:
                self._buffer = decoder.rest
                return refused

    def _kept(self, content: Content, piece: bytes) -> Reply | None:
        """Keep a piece of content, or say why it cannot be kept."""
        if content.size + len(piece) > self._settings.message_size:
            return r.TOO_LARGE
        try:
            content.write(piece)
        except OSError as error:
            log.error("mail %s cannot be held: %s", self._mail and self._mail.id, error.strerror)
            return r.DISK_FAULT
        return None

    async def _nothing_behind_data(self) -> None:
        """In front of the queue, refuse a mail that has octets waiting behind its end of data.

        Postfix never sends ahead there, so they are somebody's smuggled end of data. Only QUIT is
        let through: it can carry nothing. After the queue a client may send ahead (RFC 2920).
        """
        waiting = await self._octets_waiting()
        if waiting and waiting.upper() != b"QUIT\r\n":
            raise OctetsBehindData


_METHODS: Mapping[bytes, Callable[[Receiver, bytes], Awaitable[Reply]]] = {
    b"EHLO": Receiver._ehlo,
    b"HELO": Receiver._helo,
    b"XFORWARD": Receiver._xforward,
    b"STARTTLS": Receiver._starttls,
    b"MAIL": Receiver._mail_from,
    b"RCPT": Receiver._rcpt_to,
    b"DATA": Receiver._data,
    b"RSET": Receiver._rset,
    b"NOOP": Receiver._noop,
    b"VRFY": Receiver._vrfy,
    b"QUIT": Receiver._quit,
}


# Sessions hear the same words all day: what they are made of decides, not when.
_our_reply = lru_cache(maxsize=64)(Reply.of)


@lru_cache(maxsize=1024)
def _is_among(peer: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    address = ip_address(peer.partition("%")[0])
    return any(address in network for network in networks)

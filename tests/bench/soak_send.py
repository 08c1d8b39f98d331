"""The endurance test's mails, and one attempt to send one."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

OWNER = "owner@example.net"
_ATTEMPT_TIMEOUT = 100.0  # seconds for one attempt: what Postfix gives a filter
_SLICE = 65536  # octets a write
_WORDS = """
guest post link your readers our team Kooperation kostenlos Beitrag website partner review meeting
Tuesday invoice garden train Sonntag Grüße budget fee 300 EUR backlink domain
""".encode().split()
_DOTS = (b".", b"..", b"...", b". ", b".x", b"..\t.")
_OCTETS = bytes([*range(0x20, 0x7F), *range(0x80, 0x100)])
_FORGED = b"X-Coop-Verdict: genuine; score=0.00\r\n"


def compose(seed: int, number: int) -> bytes:
    """The content of mail ``number`` (CRLF lines, 1 to 20 kB): the same at each call."""
    rng = random.Random(f"{seed} {number}")
    body = _body(rng)
    head = (
        f"From: <sender@example.org>\r\nTo: <{OWNER}>\r\nSubject: Soak {number}\r\n"
        f"Message-ID: <{seed}.{number}@example.org>\r\n"
        f"X-Soak-Id: {number}\r\nX-Soak-Digest: {digest(body)}\r\n"
    ).encode()
    return (_FORGED if rng.random() < 0.3 else b"") + head + b"\r\n" + body


def _body(rng: random.Random) -> bytes:
    size = rng.randint(1000, 14000)  # the last line may add 5,000
    lines: list[bytes] = []
    while sum(map(len, lines)) < size:
        lines.append(_line(rng))
    return b"".join(line + b"\r\n" for line in lines)


def _line(rng: random.Random) -> bytes:
    match rng.choices(("words", "dots", "octets", "long"), (85, 8, 5, 2))[0]:
        case "dots":
            return rng.choice(_DOTS)
        case "octets":
            return bytes(rng.choices(_OCTETS, k=70))
        case "long":  # beyond 998, and beyond Postfix's line_length_limit (2,048)
            return b"long " * rng.randint(200, 1000)
        case _:
            return b" ".join(rng.choices(_WORDS, k=10))


def digest(body: bytes) -> str:
    """Of the body with LF lines, as virtual(8) writes it into the mailbox."""
    return hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()


def on_the_wire(content: bytes) -> bytes:
    """Dots stuffed, the end of data behind it; not the filter's own code, which is under test."""
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class Outcome(StrEnum):
    """How one attempt to send a mail ended, as far as its sender knows."""

    ACCEPTED = "250"
    NOT_SENT = "broken off or put off before the final dot"
    NO_REPLY = "no reply behind the final dot"
    UNSURE = "451 4.4.2 behind the final dot"
    PUT_OFF = "another 4xx behind the final dot"
    REFUSED = "5xx"


@dataclass
class Mail:
    """One mail and how each attempt to send it ended, in order."""

    number: int
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(frozen=True)
class Session:
    """One SMTP talk, a command at a time. A peer that goes away is an OSError or EOFError."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Session]:
        """Connect to loopback; hang up at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def reply(self) -> str:
        """The last line of the next reply."""
        while (line := await self._reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        return line.decode("ascii", "replace").rstrip()

    async def say(self, octets: bytes) -> str:
        """Send octets as they are, large ones in slices; the reply to them."""
        for start in range(0, len(octets), _SLICE):
            self._writer.write(octets[start : start + _SLICE])
            await self._writer.drain()
        return await self.reply()

    async def begin(self, sender: str) -> str:
        """From the greeting to the reply to DATA, or to the first reply that is not positive."""
        reply = await self.reply()
        for command in (
            "EHLO soak.example.org",
            f"MAIL FROM:<{sender}> BODY=8BITMIME",
            f"RCPT TO:<{OWNER}>",
            "DATA",
        ):
            if not reply.startswith("2"):
                break
            reply = await self.say(command.encode() + b"\r\n")
        return reply


async def attempt(port: int, sender: str, content: bytes) -> Outcome:
    """Try to send a mail once."""
    dot_sent = False
    try:
        async with asyncio.timeout(_ATTEMPT_TIMEOUT), Session.open(port) as session:
            reply = await session.begin(sender)
            if not reply.startswith("354"):
                return Outcome.REFUSED if reply.startswith("5") else Outcome.NOT_SENT
            dot_sent = True  # a mail of this size goes to the kernel whole, in one write
            reply = await session.say(on_the_wire(content))
    except (OSError, EOFError):  # TimeoutError is an OSError
        return Outcome.NO_REPLY if dot_sent else Outcome.NOT_SENT
    return _fate(reply)


def _fate(reply: str) -> Outcome:
    """What the reply to the final dot means."""
    if reply.startswith("2"):
        return Outcome.ACCEPTED
    if reply.startswith("451 4.4.2"):
        return Outcome.UNSURE
    return Outcome.PUT_OFF if reply.startswith("4") else Outcome.REFUSED

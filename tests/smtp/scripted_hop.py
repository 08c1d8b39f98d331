"""A next hop that answers what a test tells it to, and keeps every octet it was sent.

It takes CRLF for the only line end and CRLF.CRLF for the only end of data: the octets it keeps
show what a laxer server would have made of them.
"""

from __future__ import annotations

import asyncio
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from collections import Counter, defaultdict
from collections.abc import Mapping

DROP = b"drop"  # close the connection instead of an answer
SILENT = b"silent"  # never answer
TRICKLE = b"trickle"  # an octet now and then, never a whole line
REFUSE = b"refuse"  # at "connect": nobody listens

#: What a Postfix behind a filter says; the talks change single answers.
ANSWERS: Mapping[str, bytes] = {
    "greeting": b"220 next.example ESMTP Postfix\r\n",
    "EHLO": b"250-next.example\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
    b"250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n250-ENHANCEDSTATUSCODES\r\n"
    b"250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
    "HELO": b"250 next.example\r\n",
    "XFORWARD": b"250 2.0.0 Ok\r\n",
    "MAIL": b"250 2.1.0 Ok\r\n",
    "RCPT": b"250 2.1.5 Ok\r\n",
    "DATA": b"354 End data with <CR><LF>.<CR><LF>\r\n",
    "content": b"",
    "dot": b"250 2.0.0 Ok: queued as 4F00BA\r\n",
    "RSET": b"250 2.0.0 Ok\r\n",
    "QUIT": b"221 2.0.0 Bye\r\n",
}


class ScriptedHop:
    """Listens on a loopback port. ``answers`` has a reply for ``RCPT``, or for ``RCPT 2`` alone.

    The key ``content`` is the moment between the 354 and the content, ``dot`` the end of data.
    """

    def __init__(self, answers: Mapping[str, bytes] | None = None) -> None:
        self.answers = {**ANSWERS, **(answers or {})}
        self.connections: list[bytearray] = []  # the octets that came in, for each connection
        self.mails: list[bytes] = []  # contents that came in whole, as on the wire
        self.reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.gates: dict[str, asyncio.Event] = {}  # answer no earlier than this is set
        self._seen: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Listen, unless connections are to be refused."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=1 << 24
        )  # lines of any length
        self.port = self._server.sockets[0].getsockname()[1]
        if self.answers.get("connect") == REFUSE:
            self._server.close()

    def say(self, octets: bytes) -> None:
        """Send them on every connection, unasked."""
        for writer in self._writers:
            writer.write(octets)

    def hang_up(self) -> None:
        """Close every connection without a word."""
        for writer in self._writers:
            writer.close()

    async def stop(self) -> None:
        """Close the listener and wait until every connection has come to its end."""
        assert self._server
        self._server.close()
        if self._tasks:
            await asyncio.wait_for(asyncio.gather(*self._tasks), 5)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections.append(bytearray())
        self._writers.append(writer)
        try:
            await self._converse(reader, writer, self.connections[-1])
        except (OSError, IncompleteReadError):
            pass  # the filter hung up: what came before that is in the record
        finally:
            writer.close()

    async def _converse(
        self, reader: StreamReader, writer: StreamWriter, record: bytearray
    ) -> None:
        open_ = await self._answer("greeting", reader, writer)
        while open_:
            line = await _line(reader, record)
            verb = line.split()[0].decode("ascii", "replace").upper() if line.split() else ""
            open_ = await self._answer(verb, reader, writer)
            if verb == "DATA" and self.current("DATA").startswith(b"354"):
                open_ = await self._take_mail(reader, writer, record)

    async def _take_mail(
        self, reader: StreamReader, writer: StreamWriter, record: bytearray
    ) -> bool:
        if not await self._answer("content", reader, writer):
            return False
        lines = []
        while (line := await _line(reader, record)) != b".\r\n":
            lines.append(line)
        self.mails.append(b"".join(lines))
        return await self._answer("dot", reader, writer)

    def current(self, stage: str) -> bytes:
        """The answer at ``stage``, the last time it was reached."""
        numbered = f"{stage} {self._seen[stage]}"
        return self.answers.get(numbered, self.answers.get(stage, b"500 5.5.2 What?\r\n"))

    async def _answer(self, stage: str, reader: StreamReader, writer: StreamWriter) -> bool:
        """Give the answer that the script has for ``stage``; whether the connection stays."""
        self._seen[stage] += 1
        self.reached[stage].set()
        if stage in self.gates:
            await self.gates[stage].wait()
        answer = self.current(stage)
        if answer == DROP:
            return False
        if answer == SILENT:
            await reader.read()  # until the other side gives up
            return False
        while answer == TRICKLE:
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.05)
        writer.write(answer)
        await writer.drain()
        return not answer.startswith((b"421", b"221"))


async def _line(reader: StreamReader, record: bytearray) -> bytes:
    """One line, kept in the record even where it breaks off."""
    try:
        line = await reader.readuntil(b"\r\n")
    except IncompleteReadError as error:
        record += error.partial
        raise
    record += line
    return line

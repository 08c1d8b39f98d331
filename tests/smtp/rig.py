"""The filter between a client and a scripted next hop, all in one event loop on loopback ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from smtp.scripted_hop import ScriptedHop

from milter.smtp.endpoint import Endpoint
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop, SmtpNextHop, Timeouts
from milter.smtp.receiver import Receiver, ReceiverSettings, Route
from milter.smtp.reply import Reply

PATIENCE = 5.0  # seconds until a test says that something hangs
PATIENT = Timeouts(connect=PATIENCE, reply=PATIENCE, final=PATIENCE)

DEFAULTS: dict[str, Any] = {
    "hostname": "filter.example",
    "before_queue": True,
    "stray_line_ends": "blank",
    "xforward_peers": (ip_network("127.0.0.0/8"),),
    "message_size": 1_000_000,
    "memory": 1024,  # larger mails take the way through a file
    "errors": 10,
    "commands": 1000,
    "idle": PATIENCE,
}


async def only_deliver(mail: Transaction, next_hop: NextHop) -> Reply:
    """A route that judges nothing: what the next hop gets is what SMTP made of the mail."""
    return await next_hop.deliver(mail.content.pieces())


def next_hop_at(port: int, timeouts: Timeouts = PATIENT) -> SmtpNextHop:
    """Our client towards a loopback port."""
    return SmtpNextHop(Endpoint("127.0.0.1", port), "filter.example", timeouts)


@dataclass
class Rig:
    """What runs: the filter's port, its sessions so far, and the next hop."""

    hop: ScriptedHop
    port: int = 0
    sessions: list[Receiver] = field(default_factory=list)

    async def ended(self) -> None:
        """Wait until every session has come to its end."""
        tasks = [session.task for session in self.sessions if session.task]
        if tasks:
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)


@asynccontextmanager
async def running(
    hop: ScriptedHop,
    *,
    timeouts: Timeouts = PATIENT,
    route: Route = only_deliver,
    **settings: Any,
) -> AsyncIterator[Rig]:
    """The filter, started; at the end the sessions and the next hop's connections are over."""
    rig = Rig(hop)
    await hop.start()

    def session() -> Receiver:
        settled = ReceiverSettings(**{**DEFAULTS, **settings})
        rig.sessions.append(Receiver(settled, next_hop_at(hop.port, timeouts), route))
        return rig.sessions[-1]

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    rig.port = server.sockets[0].getsockname()[1]
    try:
        yield rig
        await rig.ended()
    finally:
        server.close()
        for open_session in rig.sessions:
            if open_session.task:
                open_session.task.cancel()
        await hop.stop()
        await asyncio.sleep(0)  # a closed transport lets go of its socket one turn later


async def reply_from(reader: asyncio.StreamReader) -> bytes:
    """One whole reply, or nothing where the connection ended."""
    octets = b""
    while line := await asyncio.wait_for(reader.readline(), PATIENCE):
        octets += line
        if line[3:4] != b"-":
            break
    return octets


async def client_at_data(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has been told to go ahead with its content."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reply_from(reader)
    for command in (
        b"EHLO c",
        b"MAIL FROM:<a@here.example>",
        b"RCPT TO:<b@there.example>",
        b"DATA",
    ):
        writer.write(command + b"\r\n")
        assert (await reply_from(reader))[:1] in b"23"
    return reader, writer

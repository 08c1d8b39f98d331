"""The wire alone: a filter that judges nothing, to see what its rules cost against other proxies.

``python tests/bench/plain.py --port PORT --downstream PORT``; stop it with Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from ipaddress import ip_network

from milter.smtp.endpoint import Endpoint
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop, SmtpNextHop, Timeouts
from milter.smtp.receiver import Receiver, ReceiverSettings
from milter.smtp.reply import Reply

SETTINGS = ReceiverSettings(
    hostname="filter.example",
    before_queue=True,
    stray_line_ends="blank",
    xforward_peers=(ip_network("127.0.0.0/8"),),
    message_size=50 << 20,
    memory=1 << 18,
    errors=20,
    commands=5000,
    idle=300,
)


async def only_deliver(mail: Transaction, next_hop: NextHop) -> Reply:
    """The route without its middle."""
    return await next_hop.deliver(mail.content.pieces())


async def main() -> None:
    """Serve for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--downstream", type=int, required=True)
    options = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)

    def session() -> Receiver:
        next_hop = SmtpNextHop(
            Endpoint("127.0.0.1", options.downstream), SETTINGS.hostname, Timeouts()
        )
        return Receiver(SETTINGS, next_hop, only_deliver)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", options.port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""The route of outgoing mail: handed on as it is; whom it goes to is a known correspondent."""

from __future__ import annotations

from dataclasses import dataclass

from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.trust.trust import Trust

# Octets in which the header of outgoing mail is looked for.
_HEAD = 65536


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Takes an outgoing mail from its last octet to the next hop's reply."""

    trust: Trust

    async def __call__(self, mail: Transaction, next_hop: NextHop) -> Reply:
        """Hand on, then learn. Nothing is judged or marked."""
        reply = await next_hop.deliver(mail.content.pieces())
        if reply.positive:
            self.trust.wrote_to(mail.content.head(_HEAD), mail.envelope)
        return reply

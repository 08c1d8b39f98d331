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
        """Hand on, then learn. Nothing is judged or marked.

        The header is read before: once the mail is taken, no fault may keep its reply back.
        """
        head = mail.content.head(_HEAD)
        reply = await next_hop.deliver(mail.content.pieces())
        if reply.positive:
            self.trust.wrote_to(head, mail.envelope)
        return reply

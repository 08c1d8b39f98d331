"""The route of one mail, on one page.

connection -> envelope -> exact octets (``milter.smtp``, which calls ``Pipeline`` with each mail)
-> visible text -> tokens -> score -> verdict -> action -> header edit -> next hop -> reply
-> one journal line, and one in the index of what was seen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

from milter import journal
from milter.mail import header
from milter.seen import Index
from milter.smtp.content import Content
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import MAIL_LOOP, Reply
from milter.spam.action import Action, action_for, header_fields
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content

log = logging.getLogger(__name__)

#: Received fields of a mail that is taken for a loop, as Postfix has it (hopcount_limit).
MAX_HOPS = 50
# Octets from the mail's beginning that are judged. Text stands in front of attachments, or right
# behind the pictures of a signature.
_JUDGED = 1 << 20


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Takes a mail from its last octet to its reply.

    ``bundle`` is asked anew for each mail, so that a model can be swapped between two of them;
    ``deadline`` (seconds) bounds the judging; ``clues`` says whether X-Coop-Clues is wanted;
    ``index``, if any, is told of each mail that was judged.
    """

    bundle: Callable[[], Bundle]
    deadline: float
    clues: bool
    index: Index | None = None

    async def __call__(self, mail: Transaction, next_hop: NextHop) -> Reply:
        """Judge, mark, hand on. The reply is the next hop's own."""
        start = perf_counter()
        head = mail.content.head(_JUDGED)
        if header.hops(head) > MAX_HOPS:
            log.error("mail %s has passed more than %d servers: a loop", mail.envelope.id, MAX_HOPS)
            return MAIL_LOOP
        judgement = judge_content(head, self.bundle(), self.deadline)
        digests = self.index.digests(head) if self.index else None
        reply = None
        try:
            match action_for(judgement):
                case Action.TAG:
                    fields = header_fields(judgement, self.clues)
                    marked, body = _marked(mail.content, head, fields)
                    del head  # nothing large stays in memory while the next hop takes the mail in
                    with closing(marked):
                        pieces = chain(marked.pieces(), mail.content.pieces(body))
                        reply = await next_hop.deliver(pieces)
        finally:  # a delivery that broke off may have arrived
            if self.index and digests:
                self.index.record(mail.envelope.id, digests, judgement, reply)
        journal.record(mail, judgement, reply, (perf_counter() - start) * 1000)
        return reply


def _marked(content: Content, head: bytes, fields: list[bytes]) -> tuple[Content, int]:
    """The header with ``fields`` on top, and where in ``content`` the rest begins.

    ``head`` is how ``content`` begins. The header is edited as a whole, however long it is, and
    then held like any content.
    """
    end = header.end_of_header(head)
    if end == len(head) < content.size:
        head = content.head(content.size)
        end = header.end_of_header(head)
    return content.of_same_kind(header.with_fields(head[:end], fields)), end

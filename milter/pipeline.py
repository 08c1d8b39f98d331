"""The route of one mail, on one page.

connection -> envelope -> exact octets (``milter.smtp``, which calls ``Pipeline`` with each mail)
-> visible text -> tokens -> score -> verdict -> action -> header edit -> next hop -> reply
-> one journal line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

from milter import journal
from milter.mail import header
from milter.smtp.content import Content
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.spam.action import Action, action_for, header_fields
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content

# Octets from the mail's beginning that are judged. Text stands in front of attachments or right
# behind the pictures of a signature; past this there is nothing that a reader would find.
_JUDGED = 4 << 20


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Takes a mail from its last octet to its reply.

    ``bundle`` is asked anew for each mail, so that a model can be swapped between two of them;
    ``deadline`` (seconds) bounds the judging; ``clues`` says whether X-Coop-Clues is wanted.
    """

    bundle: Callable[[], Bundle]
    deadline: float
    clues: bool

    async def __call__(self, mail: Transaction, next_hop: NextHop) -> Reply:
        """Judge, mark, hand on. The reply is the next hop's own."""
        start = perf_counter()
        head = _head(mail.content)
        judgement = judge_content(head, self.bundle(), self.deadline)
        match action_for(judgement):
            case Action.TAG:
                fields = header_fields(judgement, self.clues)
                marked = header.with_fields(head, fields)
                reply = await next_hop.deliver(chain([marked], mail.content.pieces(len(head))))
        journal.record(mail, judgement, reply, (perf_counter() - start) * 1000)
        return reply


def _head(content: Content) -> bytes:
    """What is judged and edited: the first octets, and the whole header however long it is."""
    head = content.head(_JUDGED)
    if content.size > len(head) and header.end_of_header(head) == len(head):
        head = content.head(content.size)
    return head

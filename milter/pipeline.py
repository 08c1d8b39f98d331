"""The route of one mail, on one page.

connection -> envelope -> exact octets (``milter.smtp``, which calls ``Pipeline`` with each mail)
-> visible text -> tokens -> score -> verdict -> what is known of the sender -> action for each
recipient -> header edit or quarantine -> next hop -> reply -> one journal line, one in the index
of what was seen, and one more in the metrics.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from milter import journal
from milter.delivery import Delivery, Marking
from milter.mail import header
from milter.metrics.counters import Counters
from milter.quarantine.store import Quarantine
from milter.seen import Index
from milter.smtp.command import Address
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import MAIL_LOOP, Reply
from milter.spam.action import Action
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content
from milter.spam.policy import Policy, plan
from milter.spam.verdict import Judgement
from milter.trust.trust import Trust

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
    ``deadline`` (seconds) bounds the judging; ``armed`` says whether mail may be held on account
    of the verdict of a model; ``index``, ``trust`` and ``metrics``, if any, are told of each mail.
    """

    bundle: Callable[[], Bundle]
    deadline: float
    quarantine: Quarantine
    armed: Callable[[str], bool]
    policy: Policy = Policy()
    marking: Marking = Marking()
    index: Index | None = None
    trust: Trust | None = None
    metrics: Counters | None = None

    async def __call__(self, mail: Transaction, next_hop: NextHop) -> Reply:
        """Judge, mark or hold, hand on. The reply is the next hop's own, if it was asked."""
        start = perf_counter()
        head = mail.content.head(_JUDGED)
        if header.hops(head) > MAX_HOPS:
            log.error("mail %s has passed more than %d servers: a loop", mail.envelope.id, MAX_HOPS)
            return MAIL_LOOP
        judgement = judge_content(head, self.bundle(), self.deadline)
        judging = perf_counter() - start
        if self.trust:
            judgement = await self.trust.weigh(head, mail.content, mail.envelope, judgement)
        mailboxes = [recipient.mailbox for recipient in mail.envelope.recipients]
        wanted = self._plan(judgement, mailboxes, mail.envelope.recipients)
        done = {Action.NOTHING: mail.envelope.recipients} if self.policy.shadow else wanted
        digests = self.index.digests(head, mailboxes) if self.index else None
        head = head[: header.end_of_header(head)]  # nothing large stays while the next hop works
        reply = None
        try:
            delivery = Delivery(mail, judgement, self.marking, next_hop, self.quarantine)
            reply = await delivery.deliver(done)
        finally:  # a delivery that broke off may have arrived
            if self.index and digests:
                self.index.record(mail.envelope.id, digests, judgement, reply, done, wanted)
        if self.trust and reply.positive:
            self.trust.remember(head, judgement)
        journal.record(mail, judgement, done, reply, (perf_counter() - start) * 1000)
        if self.metrics:
            self.metrics.mail(judgement, done, judging)
        return reply

    def _plan(
        self, judgement: Judgement, mailboxes: list[str], recipients: list[Address]
    ) -> dict[Action, list[Address]]:
        """The recipients by what is to be done with the mail for them."""
        planned = plan(judgement, mailboxes, self.policy, self.armed(judgement.model))
        return {action: [recipients[i] for i in places] for action, places in planned.items()}

"""One judged mail to all its recipients: held for some, on to the next hop for the others.

The sender gets one reply for all of them (a Postfix in front of us knows no other), so the steps
come in an order in which every fault before the last one leaves the mail with the sender:

1. The copies to be held are written and fsynced, but not put in place yet.
2. The next hop takes the first variant. What it answers is the reply; unless it is 2xx, the
   copies of step 1 are thrown away.
3. Further variants (another wish, another header) go on in transactions of their own. Now the
   mail cannot be given back any more: what is not taken is held as *deferred*, and tried again
   by the filter (``Quarantine.retry``).
4. The held copies are put in place.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain

from milter.errors import NextHopError
from milter.mail import header
from milter.quarantine.store import Batch, Quarantine, State
from milter.smtp import reply as r
from milter.smtp.command import Address
from milter.smtp.content import Content
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.spam.action import Action, header_fields, subject_prefix
from milter.spam.verdict import Judgement

log = logging.getLogger(__name__)

# Octets in which a header usually ends.
_HEADER = 65536
# Seconds from the beginning in which further variants can go on. Postfix waits for 100 in all
# (smtpd_proxy_timeout); then it would have the sender send again what some have already.
_PATIENCE = 80.0
_Variant = tuple[Action, Sequence[Address]]


@dataclass(frozen=True, slots=True)
class Marking:
    """How mails are marked: whether clues are wanted, and what goes before a fake's subject."""

    clues: bool = True
    subject_prefix: str = ""

    def edited(self, head: bytes, judgement: Judgement, action: Action) -> bytes:
        """A header as its recipients get it. Fields of ours that came in are gone in any case."""
        if action is Action.NOTHING:
            return header.with_fields(head, [])
        if action is Action.TAG_SUBJECT:
            head = header.with_subject_prefix(head, subject_prefix(self.subject_prefix))
        return header.with_fields(head, header_fields(judgement, self.clues))


class Delivery:
    """The delivery of one mail; ``deliver`` is called once, and returns the reply to its sender."""

    def __init__(
        self,
        mail: Transaction,
        judgement: Judgement,
        marking: Marking,
        next_hop: NextHop,
        quarantine: Quarantine,
    ) -> None:
        self._content = mail.content
        self._envelope = mail.envelope
        self._judgement = judgement
        self._marking = marking
        self._next_hop = next_hop
        self._quarantine = quarantine
        self._until = asyncio.get_running_loop().time() + _PATIENCE

    async def deliver(self, plan: Mapping[Action, Sequence[Address]]) -> Reply:
        """Carry ``plan`` out: the recipients by what is done with the mail for them."""
        onward = [(action, to) for action, to in plan.items() if action is not Action.QUARANTINE]
        held = plan.get(Action.QUARANTINE, ())
        if not held and len(onward) == 1:  # nearly all mail: the envelope is open already
            return await self._pass_on(onward[0][0])
        try:
            return await self._divided(held, onward)
        except _NotStored as fault:
            log.error("mail %s: %s", self._envelope.id, fault)
            return r.DISK_FAULT

    async def _divided(self, held: Sequence[Address], onward: Sequence[_Variant]) -> Reply:
        """Step 1, steps 2 and 3, step 4."""
        batch = await self._hold(Action.QUARANTINE, held, State.HELD) if held else None
        try:
            reply = await self._onward(onward)
        except BaseException:
            if batch:
                batch.abandon()
            raise
        if batch and reply.positive:
            await _commit(batch)
        elif batch:
            batch.abandon()
        return reply

    async def _onward(self, variants: Sequence[_Variant]) -> Reply:
        """Steps 2 and 3."""
        if not variants:
            with suppress(NextHopError):  # it is to forget the envelope; it has no mail
                await self._next_hop.reset()
            return r.OK
        first, *others = variants
        reply = await self._anew(*first)
        if reply.positive:
            for variant in others:
                await self._or_later(*variant)
        return reply

    async def _or_later(self, action: Action, recipients: Sequence[Address]) -> None:
        """Deliver one more variant, or keep it until it can be."""
        try:
            async with asyncio.timeout_at(self._until):
                reply = await self._anew(action, recipients)
        except NextHopError as error:
            log.warning("mail %s: %s", self._envelope.id, error)
        except TimeoutError:
            log.warning("mail %s: some recipients' copy takes too long", self._envelope.id)
            await self._next_hop.close()  # it may still answer a command that was given up
        else:
            if reply.positive:
                return
            log.warning("mail %s: some recipients' copy is refused: %s", self._envelope.id, reply)
        await _commit(await self._hold(action, recipients, State.DEFERRED))

    async def _anew(self, action: Action, recipients: Sequence[Address]) -> Reply:
        """Deliver in a transaction of its own for ``recipients``."""
        envelope = self._envelope
        replies = [await self._next_hop.mail(envelope.sender, envelope.attributes)]
        replies += [await self._next_hop.rcpt(recipient) for recipient in recipients]
        for reply in replies:
            if not reply.positive:
                raise NextHopError(f"it refuses what it took before: {reply}")
        return await self._pass_on(action)

    async def _pass_on(self, action: Action) -> Reply:
        """The content, edited, into the transaction that is open at the next hop."""
        with closing(self._edited(action)) as edited:
            return await self._next_hop.deliver(edited.pieces())

    async def _hold(self, action: Action, recipients: Sequence[Address], state: State) -> Batch:
        with closing(self._edited(action)) as edited:
            try:
                hold, pieces = self._quarantine.hold, edited.pieces()
                return await asyncio.to_thread(
                    hold, pieces, self._envelope, recipients, self._judgement, state
                )
            except OSError as error:
                raise _NotStored(f"it cannot be held: {error.strerror}") from error

    def _edited(self, action: Action) -> _Edited:
        """The content as it is delivered.

        The header is edited as a whole, however long it is, and then held like any content.
        """
        head = self._content.head(_HEADER)
        end = header.end_of_header(head)
        if end == len(head) < self._content.size:
            head = self._content.head(self._content.size)
            end = header.end_of_header(head)
        marked = self._marking.edited(head[:end], self._judgement, action)
        return _Edited(self._content.of_same_kind(marked), self._content, end)


@dataclass(frozen=True, slots=True)
class _Edited:
    """A mail with another header: ``header``, then ``content`` from ``start`` on."""

    header: Content
    content: Content
    start: int

    def pieces(self) -> Iterator[bytes]:
        """The whole of it, piece by piece."""
        return chain(self.header.pieces(), self.content.pieces(self.start))

    def close(self) -> None:
        """Let go of the header; the content is its owner's."""
        self.header.close()


async def _commit(batch: Batch) -> None:
    """Put held copies in place. Others may have theirs by now, and get them twice if this fails."""
    try:
        await asyncio.to_thread(batch.commit)
    except OSError as error:
        raise _NotStored(f"held copies cannot be put in place: {error.strerror}") from error


class _NotStored(Exception):
    """The disk failed; the sender keeps the mail."""

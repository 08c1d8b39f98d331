"""Letting a held mail go: the same steps whether a page, a link or a command asks for it."""

from __future__ import annotations

import asyncio

from milter.config import Settings
from milter.quarantine.feedback import file_feedback
from milter.quarantine.store import Quarantine
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.trust import trust

# Octets in which the header of a mail is looked for.
_HEAD = 65536


async def let_go(
    settings: Settings, quarantine: Quarantine, item_id: str, next_hop: NextHop, by: str
) -> Reply:
    """Send a mail on; the next hop's reply. Follow-ups of it inherit nothing any more.

    Raises ``QuarantineError`` and ``NextHopError``.
    """
    head = (await asyncio.to_thread(quarantine.content, item_id))[:_HEAD]
    reply = await quarantine.release(item_id, next_hop, by)
    if reply.positive:
        await asyncio.to_thread(trust.forget, settings, head)
    return reply


def file(settings: Settings, quarantine: Quarantine, item_id: str, label: str) -> None:
    """File what a mail really is as feedback of its recipient. Raises ``OSError``.

    Done before it is released: then its octets are gone.
    """
    content = quarantine.content(item_id)
    recipient = quarantine.item(item_id).recipient
    file_feedback(settings.review.feedback, recipient, item_id, label, content)
    if label != "fake":
        trust.forget(settings, content[:_HEAD])

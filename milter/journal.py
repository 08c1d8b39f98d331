"""One line a mail: what came of it. No subject, no body, no full address."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from milter.smtp.envelope import Transaction
from milter.smtp.reply import Reply
from milter.spam.action import Action
from milter.spam.verdict import Judgement

log = logging.getLogger("milter.journal")


def record(
    mail: Transaction,
    judgement: Judgement,
    actions: Iterable[Action],
    reply: Reply,
    milliseconds: float,
) -> None:
    """Write the line: ``key=value`` pairs, values without blanks, the reply's text last."""
    envelope = mail.envelope
    score = f"{judgement.score.fake:.2f}" if judgement.score else "-"
    log.info(
        "id=%s verdict=%s action=%s score=%s reason=%s asks=%s offers=%s model=%s client=%s "
        "sender_domain=%s recipients=%d octets=%d stray=%d ms=%.1f reply=%s",
        envelope.id,
        judgement.verdict,
        ",".join(actions),
        score,
        judgement.reason or "-",
        ",".join(judgement.asks) or "-",
        ",".join(judgement.offers) or "-",
        judgement.model,
        envelope.client,
        envelope.sender.domain or "-",
        len(envelope.recipients),
        mail.content.size,
        mail.stray,
        milliseconds,
        reply,
    )

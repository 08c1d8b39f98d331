"""One line a mail: what came of it. No subject, no body, no full address."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from milter.smtp.envelope import Transaction
from milter.smtp.reply import Reply
from milter.spam.action import Action
from milter.spam.verdict import Judgement

log = logging.getLogger("milter.journal")


class _Formatter(logging.Formatter):
    """Writes the date and time of a second only once."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._second = (0, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """As logging has it: ``2026-11-20 17:03:59,123``."""
        second = int(record.created)
        if second != self._second[0]:
            self._second = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._second[1]},{record.msecs:03.0f}"


def log_to_stderr(level: str) -> None:
    """Send all log lines to standard error; none of them says more than ``_Formatter`` does."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler])
    # What would be looked up for each line and shown in none (logging's HOWTO, "Optimization").
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # aiosmtpd's log repeats every command, and on level debug every address.
    logging.getLogger("mail.log").setLevel(logging.ERROR)


def record(
    mail: Transaction,
    judgement: Judgement,
    actions: Iterable[Action],
    reply: Reply,
    milliseconds: float,
) -> None:
    """Write the line: ``key=value`` pairs, values without blanks, the reply's text last."""
    if not log.isEnabledFor(logging.INFO):
        return
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

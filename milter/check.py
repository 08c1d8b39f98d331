"""``coop-verdict check``: judge mails in files by the same code as in the filter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from milter.mail.folder import read_all
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content
from milter.spam.verdict import Judgement, Reason, unscored


@dataclass(frozen=True, slots=True)
class Checked:
    """One mail's judgement; ``fault`` says why its file could not be read, if so."""

    source: str
    judgement: Judgement
    fault: str


def check(paths: Iterable[str], bundle: Bundle, seconds: float) -> Iterator[Checked]:
    """Judge all mails of ``paths`` in order, one at a time in memory."""
    for mail in read_all(paths):
        if mail.fault:
            judgement = unscored(Reason.UNREADABLE, bundle.version)
        else:
            judgement = judge_content(mail.content, bundle, seconds)
        yield Checked(mail.source, judgement, mail.fault)

"""Mails that went through: what the index of seen mails knows of them, which is no subject."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from starlette.responses import Response

from milter import seen
from milter.mail import identity
from milter.review.filters import ACTIONS, PASSED_DAYS, SIZE, VERDICTS, Filter, Pages
from milter.review.users import User
from milter.review.visit import Visit
from milter.seen import Seen

# The newest that are listed: enough to look back, and little to keep in memory.
_MOST = 5000
#: Instead of the actions where recipients of one mail got different ones.
MIXED = "mixed"


async def listed(visit: Visit) -> Response:
    """The list, newest first."""
    asked = Filter.of(visit.request.query_params, PASSED_DAYS)
    kept = visit.desk.settings.journal
    found = await asyncio.to_thread(_found, kept.folder, visit.known, asked)
    pages = Pages(asked.page, len(found))
    if asked.page > pages.last:
        return visit.go("/passed", asked.query(page=pages.last if pages.last > 1 else ""))
    first = (asked.page - 1) * SIZE
    return visit.page(
        "passed.html",
        mails=found[first : first + SIZE],
        asked=asked,
        pages=pages,
        choices={"verdict": VERDICTS, "action": ACTIONS, "days": PASSED_DAYS},
        kept=kept.enabled,
        most=_MOST,
    )


def _found(folder: Path, user: User, asked: Filter) -> list[Seen]:
    """The user's mails that the filter asks for, newest first."""
    found = deque((mail for mail in _theirs(folder, user, asked.since)), maxlen=_MOST)
    wanted = _ids(folder, asked.words) if asked.words else None
    mails = [mail for mail in found if _fits(mail, asked, wanted)]
    return sorted(mails, key=lambda mail: -mail.time)


def _theirs(folder: Path, user: User, since: float) -> Iterator[Seen]:
    if user.admin:
        yield from seen.recent(folder, since)
        return
    told: set[str] = set()
    for recipient in user.recipients:
        for mail in seen.recent(folder, since, recipient):
            if mail.id not in told:
                told.add(mail.id)
                yield _without_others(mail)


def _without_others(mail: Seen) -> Seen:
    """What was done for other recipients of the same mail is theirs to know."""
    return replace(mail, action=MIXED) if "," in mail.action else mail


def _ids(folder: Path, words: str) -> set[str]:
    """The log ids that a search means: of the mails with this Message-ID, and the word itself."""
    message_id = identity.bare_id(words.encode("utf-8", "surrogateescape"))
    return {words, *(mail.id for mail in seen.with_message_id(folder, message_id))}


def _fits(mail: Seen, asked: Filter, wanted: set[str] | None) -> bool:
    return (
        (not asked.verdict or mail.verdict == asked.verdict)
        and (not asked.action or asked.action in mail.action.split(","))
        and (wanted is None or mail.id in wanted)
    )

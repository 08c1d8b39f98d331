"""The list of held mails, and one of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from starlette.responses import Response

from milter.errors import NotHeld
from milter.quarantine.item import Event, Item, State
from milter.review import feedback
from milter.review.filters import DAYS, SORTS, STATES, VERDICTS, Filter, Pages
from milter.review.marks import Reading, marked
from milter.review.visit import Visit

_ID = re.compile(r"[0-9a-f]{16}")


async def listed(visit: Visit) -> Response:
    """The list, as its filter says; a page behind the last one is the last one."""
    asked = Filter.of(visit.request.query_params)
    query = asked.held(visit.known)
    found = await asyncio.to_thread(visit.desk.quarantine.find, query)
    pages = Pages(asked.page, found.total)
    if asked.page > pages.last:
        return visit.go("/", asked.query(page=pages.last if pages.last > 1 else ""))
    choices = {"state": tuple(STATES), "verdict": VERDICTS, "days": DAYS, "sort": SORTS}
    return visit.page(
        "held.html",
        items=found.items,
        asked=asked,
        pages=pages,
        choices=choices,
        many=visit.known.admin or len(visit.known.recipients) > 1,
    )


async def shown(visit: Visit) -> Response:
    """One mail: its facts, and its text while it is there."""
    found = await item(visit, visit.request.path_params["id"])
    desk = visit.desk
    filed = await asyncio.to_thread(feedback.filed, desk.settings, found)
    return visit.page(
        "mail.html",
        item=found,
        events=_told(await asyncio.to_thread(desk.quarantine.history, found.id)),
        reading=await _reading(visit, found) if found.open else None,
        filed=filed,
        thresholds=desk.model().thresholds,
    )


async def item(visit: Visit, given: str) -> Item:
    """The item of an id that somebody named; one that is not theirs is as if there were none."""
    if not _ID.fullmatch(given):
        raise NotHeld("no such mail is held")
    found = await asyncio.to_thread(visit.desk.quarantine.item, given)
    if not visit.known.may_see(found.recipient):
        raise NotHeld("no such mail is held")
    return found


def _told(events: Sequence[Event]) -> list[Event]:
    """What is worth telling: a release that went on needs no words for its beginning."""
    steps = (State.RELEASING, State.SENT_DOT)
    return [event for event in events[:-1] if event.state not in steps] + list(events[-1:])


async def _reading(visit: Visit, found: Item) -> Reading | None:
    """The text with its marks; None where the mail was taken away meanwhile."""
    try:
        content = await asyncio.to_thread(visit.desk.quarantine.content, found.id)
    except NotHeld:
        return None
    return await asyncio.to_thread(marked, content, visit.desk.model())

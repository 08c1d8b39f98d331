"""How much was held, by day and verdict."""

from __future__ import annotations

import asyncio
from collections import Counter

from markupsafe import Markup
from starlette.responses import Response

from milter.quarantine.item import OPEN
from milter.quarantine.query import Query
from milter.review import plot
from milter.review.visit import Visit

# Days that the plot shows, as they can be chosen.
DAYS, USUAL = ("7", "30", "90"), "30"


async def show(visit: Visit) -> Response:
    """The plot, its table and the sums."""
    asked = visit.request.query_params.get("days", "")
    days = int(asked if asked in DAYS else USUAL)
    recipients = None if visit.known.admin else visit.known.recipients
    store = visit.desk.quarantine
    counts = await asyncio.to_thread(store.counts_by_day, recipients, days)
    waiting = await asyncio.to_thread(
        store.find, Query(recipients=recipients, states=OPEN, limit=1)
    )
    sums = Counter[str]()
    for _, verdict, count in counts:
        sums[verdict] += count
    return visit.page(
        "overview.html",
        # Markup: the plot escapes what it is given, and nothing of a mail is in it.
        picture=Markup(plot.by_day(counts, days, visit.t)),  # noqa: S704
        table=plot.table(counts, days, visit.t),
        waiting=waiting.total,
        sums=[(verdict, sums[verdict]) for verdict in plot.ORDER if sums[verdict]],
        days=days,
        choices=DAYS,
    )

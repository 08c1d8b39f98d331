"""The release links of the digest: whoever has one may release that mail, and see its subject.

Programs that look through a mail follow its links: so the link itself only asks, and the press of
the button releases. The token is all the right that is needed; nobody has to be logged in.
"""

from __future__ import annotations

import asyncio
import time

from starlette.responses import Response

from milter.errors import NotHeld
from milter.quarantine.item import Item
from milter.review import deeds
from milter.review.faults import Refused
from milter.review.visit import Visit


async def ask(visit: Visit) -> Response:
    """Ask whether to release the mail."""
    item = await _item(visit)
    return visit.page("link.html", item=item, released=not item.open)


async def release(visit: Visit) -> Response:
    """Release it. One that was released before is as good."""
    item = await _item(visit)
    if item.open:
        try:
            reply = await deeds.release(visit, item.id, "a link")
        except NotHeld:  # somebody was quicker: the page says what became of it
            return await ask(visit)
        if not reply.positive:
            raise Refused(502, "next_hop")
    return visit.page("link.html", item=item, released=True)


async def _item(visit: Visit) -> Item:
    """The mail that the link is for: the token says whose, and that has to be so."""
    link = visit.desk.links.read(visit.request.path_params["token"], time.time())
    if not link:
        raise Refused(410, "link")
    try:
        item = await asyncio.to_thread(visit.desk.quarantine.item, link.item)
    except NotHeld as error:
        raise Refused(410, "link") from error
    if item.recipient != link.recipient:
        raise Refused(410, "link")
    return item

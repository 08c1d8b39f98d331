"""What the buttons do with held mails: say what they are, release them, delete them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from milter.errors import Busy, NextHopError, NextHopUnsure, NotHeld
from milter.letting_go import file, let_go
from milter.quarantine.item import Item
from milter.review.visit import Visit
from milter.smtp.reply import Reply
from milter.spam.bundle import LABELS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """What is to be done: ``label`` to file it under (empty: none), then one of the others."""

    label: str = ""
    release: bool = False
    delete: bool = False


#: By the value of the button.
DEEDS = {
    "release-none": Deed("none", release=True),
    "release-genuine": Deed("genuine", release=True),
    "release": Deed(release=True),
    **{label: Deed(label) for label in LABELS},
    "delete": Deed(delete=True),
}


class Outcome(StrEnum):
    """How it ended for one mail; the same words in ``texts``, under ``outcome``."""

    RELEASED = "released"
    FILED = "filed"
    DELETED = "deleted"
    REFUSED = "refused"  # by the next hop: the mail is still held
    UNREACHABLE = "unreachable"  # the next hop; the mail is still held
    UNSURE = "unsure"  # the next hop may have taken it; it is still held
    BUSY = "busy"  # somebody else is at it
    MISSING = "missing"  # not held (any more)


#: Those after which nothing is left to be done.
DONE = (Outcome.RELEASED, Outcome.FILED, Outcome.DELETED)


@dataclass(frozen=True, slots=True)
class Done:
    """``told``: the next hop's words, or ours; it may hold anything that a server says."""

    outcome: Outcome
    told: str = ""


async def do(visit: Visit, item: Item, deed: Deed) -> Done:
    """Carry a deed out. Raises ``OSError`` where the disk fails; then the mail is still held.

    What is said of a mail is kept first: it is true whether the mail can be delivered or not, and
    the mail's octets are gone once it is.
    """
    try:
        if deed.label:
            desk = visit.desk
            await asyncio.to_thread(file, desk.settings, desk.quarantine, item.id, deed.label)
        if deed.release:
            return _answered(await release(visit, item.id))
        if deed.delete:
            await asyncio.to_thread(visit.desk.quarantine.delete, item.id, visit.known.name)
            return Done(Outcome.DELETED)
    except Busy:
        return Done(Outcome.BUSY)
    except NotHeld as error:
        return Done(Outcome.MISSING, str(error))
    except NextHopUnsure as error:
        return Done(Outcome.UNSURE, str(error))
    except NextHopError as error:
        log.warning("a release failed: %s", error)
        return Done(Outcome.UNREACHABLE, str(error))
    return Done(Outcome.FILED)


async def release(visit: Visit, item_id: str, by: str = "") -> Reply:
    """Send a mail on; the next hop's reply."""
    next_hop = visit.desk.ways.onward()
    try:
        desk = visit.desk
        by = by or visit.known.name
        return await let_go(desk.settings, desk.quarantine, item_id, next_hop, by)
    finally:
        await next_hop.close()


def summed(done: Iterable[Done]) -> dict[Outcome, int]:
    """How many ended how, in the order of the outcomes."""
    outcomes = [one.outcome for one in done]
    return {outcome: outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}


def _answered(reply: Reply) -> Done:
    if reply.positive:
        return Done(Outcome.RELEASED)
    return Done(Outcome.REFUSED, str(reply))

"""What was accepted for some recipients and could not go on yet: tried again until it can.

That happens where recipients of one mail wish for different things, so that it goes on in several
transactions, and the next hop took the first and not the second (``milter.delivery``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from milter.errors import CoopError
from milter.quarantine.store import Quarantine
from milter.smtp.next_hop import NextHop

log = logging.getLogger(__name__)

# Seconds between two rounds.
_PERIOD = 60.0


async def keep_trying(quarantine: Quarantine, onward: Callable[[], NextHop]) -> None:
    """Deliver what is deferred, now and every minute, until cancelled."""
    while True:
        try:
            if quarantine.there:  # nothing was ever held otherwise
                await _round(quarantine, onward)
        except OSError as error:
            log.error("deferred mail cannot be looked at: %s", error.strerror)
        await asyncio.sleep(_PERIOD)


async def _round(quarantine: Quarantine, onward: Callable[[], NextHop]) -> None:
    for held in await asyncio.to_thread(quarantine.deferred):
        next_hop = onward()
        try:
            reply = await quarantine.retry(held, next_hop)
            log.info("deferred mail %s: the next hop answered %s", held, reply)
        except CoopError as error:
            log.warning("deferred mail %s waits on: %s", held, error)
        except OSError as error:  # with this one; the others can still go
            log.error("deferred mail %s waits on: %s", held, error.strerror)
        finally:
            await next_hop.close()

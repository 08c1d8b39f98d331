"""Connections to a next hop that are kept for a moment between two mails.

A new connection for each mail costs both sides about as much as the mail itself: a process that
takes it, a greeting, EHLO, perhaps TLS. Postfix's own client keeps connections, too
(CONNECTION_CACHE_README), and the bounds are its: few, for a short time, and never many mails on
one, so that a next hop that was changed is asked anew soon, and one that may have few connections
at a time has them free for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from milter.smtp.wire import Wire

#: EHLO keywords (RFC 5321 4.1.1.1) with their parameters, both in the next hop's octets.
Capabilities = Mapping[bytes, bytes]

#: Connections that are kept at a time, of all workers: busy sessions hand them to each other.
MOST = 8
# Seconds that one is kept unused, at least, and that it is used in all; mails that are begun on it
# (smtp_connection_cache_time_limit, ..._reuse_time_limit, ..._reuse_count_limit). Postfix takes
# offence at more than a hundred mails on one that are given up again (smtpd_junk_command_limit).
_KEPT, _USED, _MAILS = 1.0, 60.0, 100
# Seconds in which a next hop greets that has a process to spare.
_GREETED = 0.1


@dataclass(slots=True)
class Link:
    """A connection that has been greeted, and what was learned there. Times are the loop's.

    ``spotless``: every reply was the one hoped for, so nothing is left of what was refused.
    """

    wire: Wire
    until: float  # it is not kept for another session from then on
    capabilities: Capabilities = field(default_factory=dict)
    spotless: bool = True
    mails: int = 0
    unused_since: float = 0.0

    @classmethod
    def new(cls, wire: Wire) -> Link:
        """A connection of which nothing is known yet."""
        return cls(wire, wire.now() + _USED)

    @property
    def used(self) -> bool:
        """Whether it is not the first that is done on it, so that it may be about to end."""
        return bool(self.mails or self.unused_since)

    @property
    def stale(self) -> bool:
        """Whether the server has hung up, or said something unasked (421, before it does)."""
        return bool(self.wire.arrived) or self.wire.ended

    @property
    def worn(self) -> bool:
        """Whether another session had better have a new one."""
        spent = self.mails >= _MAILS or self.wire.now() >= self.until
        return spent or self.stale or not self.spotless

    def quit(self) -> None:
        """Say QUIT and hang up. A mail that was not finished with a dot is thus given up."""
        self.wire.say(b"QUIT\r\n")
        self.wire.close()


class Idle:
    """The connections to one next hop that no session has just now, the last used on top.

    ``most`` are kept. None is while a session waits long for a new one: a next hop that serves no
    more than some at a time has that wait until another one ends.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._wanted: list[float] = []  # since when, the loop's time
        self._links: list[Link] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self) -> Link | None:
        """The one that was used last and is good still."""
        while self._links:
            link = self._links.pop()
            if not link.worn:
                return link
            link.quit()
        return None

    @contextmanager
    def wanting(self) -> Iterator[None]:
        """While the block runs, somebody waits for a new connection."""
        since = asyncio.get_running_loop().time()
        self._wanted.append(since)
        try:
            yield
        finally:
            self._wanted.remove(since)

    def keep(self, link: Link) -> None:
        """Keep it for the next session, or say QUIT."""
        now = link.wire.now()
        in_the_way = bool(self._wanted) and now - self._wanted[0] > _GREETED
        if self._closed or in_the_way or link.worn or len(self._links) >= self._most:
            link.quit()
            return
        link.unused_since = now
        self._links.append(link)
        self._look_later()

    def close(self) -> None:
        """Say QUIT to all, and keep no more."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        while self._links:
            self._links.pop().quit()

    def _look_later(self) -> None:
        if not self._timer:
            self._timer = asyncio.get_running_loop().call_later(_KEPT, self._look)

    def _look(self) -> None:
        """Hang up what nobody has used for the time that connections are kept."""
        self._timer = None
        unused, self._links = self._links, []
        for link in unused:
            if link.worn or link.wire.now() - link.unused_since >= _KEPT:
                link.quit()
            else:
                self._links.append(link)
        if self._links:
            self._look_later()

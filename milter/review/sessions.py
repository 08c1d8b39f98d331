"""Who is logged in. Kept in memory: after a restart one logs in again.

The browser has a random token in a cookie; only its hash is kept here, and looked up by: how long
that takes tells nobody anything about a token.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from milter.review.users import User

# Sessions at a time; past that the oldest ends. Far more than there are people.
_MOST = 10_000
# Notes that wait for the next page.
_NOTES = 20


@dataclass(frozen=True, slots=True)
class Note:
    """What the next page says on top: ``kind`` is done or fault."""

    kind: str
    text: str
    details: tuple[str, ...] = ()


@dataclass(slots=True)
class Session:
    """``mark``: ties it to the password of its login; ``until``: by the clock of ``Sessions``."""

    name: str
    mark: str
    until: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    notes: list[Note] = field(default_factory=list)

    def tell(self, note: Note) -> None:
        """Say something on the next page."""
        self.notes = [*self.notes, note][-_NOTES:]

    def told(self) -> list[Note]:
        """What is to be said now, once."""
        notes, self.notes = self.notes, []
        return notes


class Sessions:
    """The sessions. ``lifetime`` in seconds from the login."""

    def __init__(self, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()

    def open(self, user: User) -> str:
        """Begin a session; its token, for the cookie."""
        token = secrets.token_urlsafe(32)
        self._open[_hash(token)] = Session(user.name, mark(user), self._clock() + self._lifetime)
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token; None where there is none (any more)."""
        key = _hash(token)
        session = self._open.get(key)
        if session and session.until <= self._clock():
            del self._open[key]
            return None
        return session

    def close(self, token: str) -> None:
        """End the session of a token, if there is one."""
        self._open.pop(_hash(token), None)


def mark(user: User) -> str:
    """Another one for each password: with a new password, old sessions are over."""
    return hashlib.sha256(user.hash.encode()).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that tells nothing."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()

"""Passwords: hashed with argon2id, checked in the same time whether the user is there or not."""

from __future__ import annotations

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from milter.review.users import LONGEST, User

# The library's defaults are RFC 9106's second recommendation: 64 MiB and three passes. So not
# many at a time, or a flood of logins takes the machine's memory.
_AT_A_TIME = 2
_hasher = PasswordHasher()


def hashed(password: str) -> str:
    """The hash to be kept of a password."""
    return _hasher.hash(password.encode("utf-8", "surrogatepass"))


def holds(user: User | None, password: str) -> bool:
    """Whether the password is the user's. For None as much work is done, in vain."""
    try:
        _hasher.verify(user.hash if user else _nobody(), password.encode("utf-8", "surrogatepass"))
    except (VerificationError, InvalidHashError):
        return False
    return user is not None


class Checker:
    """Checks passwords in threads, so that the page goes on meanwhile."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_A_TIME)

    async def holds(self, user: User | None, password: str) -> bool:
        """Like ``holds``; a password that is longer than any is not hashed."""
        if len(password) > LONGEST:
            return False
        async with self._turn:
            return await asyncio.to_thread(holds, user, password)


@cache
def _nobody() -> str:
    """The hash that names nobody has are checked against."""
    return hashed("nobody has this password, and nobody would be let in with it")

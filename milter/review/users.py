"""Who may log in: ``users.json`` in the page's state folder, readable by its owner only.

A user has a name, an argon2 hash of the password (RFC 9106), and either sees all mail (an admin)
or that of some mailboxes. The file is replaced in one step and read again whenever it is another.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from milter import durable
from milter.errors import StartError
from milter.smtp.command import Address

#: The names within the state folder.
NAME, LOCK = "users.json", "users.lock"
#: The user that is made where there is none yet.
FIRST = "admin"
# A name as it is kept: small letters and what stands in mail addresses.
_NAME = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,63}")
# Octets of a password: a phrase or more, and no cheap way to make us hash megabytes.
SHORTEST, LONGEST = 8, 1024
# A file that is larger was not written by us.
_MAX_FILE = 16 << 20


@dataclass(frozen=True, slots=True)
class User:
    """``recipients``: the mailboxes whose mail they see; an admin sees all."""

    name: str
    hash: str
    admin: bool = False
    recipients: tuple[str, ...] = ()

    def may_see(self, recipient: str) -> bool:
        """Whether mail to this mailbox is theirs to see."""
        return self.admin or recipient in self.recipients


class Users:
    """The users as the file has them now. Raises ``StartError`` where it cannot be used."""

    def __init__(self, state: Path) -> None:
        self._folder = state
        self._path = state / NAME
        self._mark: tuple[int, int, int] | None = None
        self._known: dict[str, User] = {}

    def get(self, name: str) -> User | None:
        """The user of this name, None where there is none."""
        return self.all().get(name)

    def all(self) -> dict[str, User]:
        """All users by name."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._mark, self._known = None, {}
            return {}
        except OSError as error:
            raise self._unusable(error) from error
        mark = (found.st_ino, found.st_mtime_ns, found.st_size)
        if mark != self._mark:
            self._known = self._read()
            self._mark = mark
        return self._known

    def put(self, user: User) -> None:
        """Add a user, or replace the one of that name."""
        with self._changing() as users:
            users[user.name] = user

    def add_first(self, user: User) -> bool:
        """Add a user if there is none at all; whether that was so."""
        with self._changing() as users:
            if users:
                return False
            users[user.name] = user
            return True

    def remove(self, name: str) -> bool:
        """Remove a user; whether there was one."""
        with self._changing() as users:
            return users.pop(name, None) is not None

    @contextmanager
    def _changing(self) -> Iterator[dict[str, User]]:
        """The users, to be changed by one process at a time and then written."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self.all()
            users = dict(before)
            yield users
            if users != before:
                self._write(users.values())
        finally:
            os.close(lock)

    def _write(self, users: Iterable[User]) -> None:
        told = {"users": [asdict(user) for user in sorted(users, key=lambda user: user.name)]}
        octets = json.dumps(told, indent=1, ensure_ascii=False).encode() + b"\n"
        try:
            durable.replace(self._path, octets)
        except OSError as error:
            raise self._unusable(error) from error

    def _read(self) -> dict[str, User]:
        try:
            if self._path.stat().st_size > _MAX_FILE:
                raise ValueError("it is too large")
            told = json.loads(self._path.read_bytes())
            users = [_user(**entry) for entry in told["users"]]
        except OSError as error:
            raise self._unusable(error) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StartError(
                f"{self._path}: not a file of users ({error}). Mend it, or remove it and add the "
                "users anew with coop-verdict review-user add"
            ) from error
        return {user.name: user for user in users}

    def _unusable(self, error: OSError) -> StartError:
        return StartError(
            f"{self._path}: {error.strerror}. Give the folder to the page's user, or name another "
            "one under [review] state"
        )


def plain_name(given: str) -> str:
    """A user's name as it is kept; raises ``StartError`` where it cannot be one."""
    name = unicodedata.normalize("NFKC", given).strip().casefold()
    if not _NAME.fullmatch(name):
        raise StartError(
            f"{given!r} cannot be a user's name: up to 64 letters, digits and . _ + @ -"
        )
    return name


def plain_recipient(given: str) -> str:
    """A mailbox as recipients are compared everywhere; raises ``StartError``."""
    address = Address.parse(b"TO", b"TO:" + given.strip().encode("utf-8", "surrogateescape"))
    if not address or "@" not in address.mailbox or address.parameters:
        raise StartError(f"{given!r} is no mail address; write one such as anna@example.org")
    return address.mailbox


def new_password() -> str:
    """A random one, to be told once: 96 bits."""
    return "-".join(secrets.token_hex(3) for _ in range(4))


def _user(name: str, hash: str, admin: bool, recipients: list[str]) -> User:
    known = isinstance(admin, bool) and all(isinstance(text, str) for text in (name, hash))
    if not known or not all(isinstance(mailbox, str) for mailbox in recipients):
        raise TypeError("a value of another kind")
    return User(name, hash, admin, tuple(recipients))

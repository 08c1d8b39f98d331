"""The lists of allowed and refused senders: addresses, and domains with all below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from milter.mail.author import ascii_domain, normalised


class Standing(Enum):
    """What the lists say of an address."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class Senders:
    """Both lists. Of two entries the narrower one counts, of two alike the refusal."""

    def __init__(self, allowed: Iterable[str], refused: Iterable[str]) -> None:
        lists = ((Standing.ALLOWED, allowed), (Standing.REFUSED, refused))
        self._entries = {_entry(name): standing for standing, names in lists for name in names}

    def standing(self, mailbox: str | None) -> Standing | None:
        """What the lists say of ``mailbox`` (as ``normalised`` writes it); None: nothing."""
        if not mailbox or not self._entries:
            return None
        found = (self._entries.get(name) for name in _wider_and_wider(mailbox))
        return next((standing for standing in found if standing), None)

    def __bool__(self) -> bool:
        return bool(self._entries)


def _entry(name: str) -> str:
    return (normalised(name) if "@" in name else ascii_domain(name)) or name


def _wider_and_wider(mailbox: str) -> Iterator[str]:
    """The address, its domain, and every domain above."""
    yield mailbox
    domain = mailbox.rpartition("@")[2]
    while domain:
        yield domain
        domain = domain.partition(".")[2]

"""A mail on its way through the rules, and what the rules ask it about its sender."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from milter.mail import header
from milter.mail.mime import MAX_HEADER
from milter.mail.sites import site
from training.feedback.mails import Fate, FeedbackMail, Outcome, Reason
from training.spool import Kept

_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"|\([^()]*+\)')
_ADDRESS = re.compile(rb"([^\s<>@,;:]+)@([A-Za-z0-9.\-\x80-\xff]*[A-Za-z0-9\x80-\xff])")
# Octets of an address field that are looked at.
_MOST = 20000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mail that could be learned, and where it is put aside what it is compared by.

    ``sender``: who gets the answer (``mail.sites``).
    """

    mail: FeedbackMail
    compared: Kept
    sender: str = ""

    @property
    def shingles(self) -> NDArray[np.int64]:
        """What ``near.shingles`` found."""
        return np.frombuffer(self.compared.read(), np.int64)

    def fate(self, outcome: Outcome, reason: Reason = "") -> Fate:
        """What became of it."""
        mail = self.mail
        return Fate(mail.key, mail.message_id, mail.label, mail.source, outcome, reason)


@dataclass(frozen=True, slots=True)
class Parties:
    """Who a mail is from and who else has part in it, by its header (nothing is verified).

    ``sender``: address in lower case. ``recipients``: sites of those in To and Cc; ``sites``: of
    From, too. ``answer``: whether it goes on with a conversation. ``listed``: whether a list sent
    it on.
    """

    sender: str
    recipients: frozenset[str]
    sites: frozenset[str]
    answer: bool
    listed: bool

    @property
    def domain(self) -> str:
        """The domain of the sender's address."""
        return self.sender.rpartition("@")[2]


def parties(content: bytes) -> Parties:
    """Read the header of a mail."""
    end, _ = header.body_range(content, 0, len(content))
    found: dict[bytes, list[bytes]] = {}
    for name, value in header.fields(content[: min(end, MAX_HEADER)]):
        found.setdefault(name, []).append(value[:_MOST])
    senders = _addresses(found.get(b"from", []))
    others = _addresses([*found.get(b"to", []), *found.get(b"cc", [])])
    recipients, authors = (
        frozenset(site(address.rpartition("@")[2]) for address in addresses)
        for addresses in (others, senders)
    )
    references = found.get(b"in-reply-to", []) + found.get(b"references", [])
    return Parties(
        sender=senders[0] if senders else "",
        recipients=recipients,
        sites=recipients | authors,
        answer=any(references),
        listed=any(found.get(b"list-id", [])),
    )


def _addresses(values: list[bytes]) -> list[str]:
    """The addresses in fields, not those in names and comments: anybody can write these."""
    bare = b", ".join(_QUOTED.sub(b" ", value) for value in values)
    return [
        f"{local.decode('utf-8', 'replace')}@{domain.decode('utf-8', 'replace')}".lower()
        for local, domain in _ADDRESS.findall(bare)
    ]


def belongs(address: str, names: tuple[str, ...]) -> bool:
    """Whether an address is one of ``names``: addresses, or domains with all below them."""
    domain = address.rpartition("@")[2]
    for name in names:
        wanted = name.strip().lower()
        if address and wanted == address:
            return True
        wanted = wanted.removeprefix("@")
        if domain and f".{domain}".endswith(f".{wanted}"):
            return True
    return False

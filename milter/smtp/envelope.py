"""What belongs to one mail besides its content."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from milter.smtp.command import Address
from milter.smtp.content import Content


def _new_id() -> str:
    """A short id that ties a mail's log lines together; 40 bits are plenty for that."""
    return secrets.token_hex(5)


@dataclass(slots=True)
class Envelope:
    """The envelope of one mail: sender, accepted recipients, and the client behind Postfix.

    ``sender`` is as it was handed on; ``client`` names the remote client for logs, ``attributes``
    is all that XFORWARD told about it.
    """

    sender: Address
    recipients: list[Address] = field(default_factory=list)
    client: str = "unknown"
    attributes: Mapping[bytes, bytes] = field(default_factory=dict)
    id: str = field(default_factory=_new_id)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A mail that has come in whole: envelope, content, how many stray octets were replaced."""

    envelope: Envelope
    content: Content
    stray: int

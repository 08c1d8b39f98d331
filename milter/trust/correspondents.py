"""Whom an outgoing mail makes a known correspondent: whoever a person writes to.

Recipients are those of the envelope, so that Bcc counts and a header that lies does not. Machines
that answer (RFC 3834) and mail to lists teach nothing: who got an out-of-office note or a read
receipt would be a correspondent of everybody.

Nor is anybody learned at the sender's own domain: that is the one which is forged most easily, and
what colleagues write to each other is no pitch.

There is one circle for all who share a filter: of a mail that comes in, one cannot tell which of
the addresses that wrote out are its recipient's (aliases, several domains, a shared desk).
"""

from __future__ import annotations

import re

from milter.mail import header
from milter.mail.author import normalised
from milter.smtp.envelope import Envelope

#: Recipients of a mail that are learned.
MOST = 100

_LISTS = (b"list-id", b"list-post", b"list-unsubscribe")
_BULK = frozenset({b"bulk", b"list", b"junk", b"auto_reply"})
_REPORT = re.compile(rb"multipart/report\b", re.IGNORECASE)


def recipients(head: bytes, envelope: Envelope) -> list[str]:
    """The mailboxes that an outgoing mail makes known."""
    sender = normalised(envelope.sender.mailbox)
    if sender is None or not _personal(head):
        return []
    own = sender.rpartition("@")[2]
    found = (normalised(recipient.mailbox) for recipient in envelope.recipients[:MOST])
    return [mailbox for mailbox in found if mailbox and mailbox.rpartition("@")[2] != own]


def _personal(head: bytes) -> bool:
    """Whether a person wrote this, and not to a list."""
    end, _ = header.body_range(head, 0, len(head))
    return not any(_automatic(name, value) for name, value in header.fields(head[:end]))


def _automatic(name: bytes, value: bytes) -> bool:
    if name == b"auto-submitted":
        return value.partition(b";")[0].strip().lower() != b"no"
    if name == b"precedence":
        return value.strip().lower() in _BULK
    return name in _LISTS or (name == b"content-type" and bool(_REPORT.match(value)))

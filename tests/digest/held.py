"""Mails that are held, for a digest to tell of, and what it told."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

from milter.quarantine.store import Quarantine, State
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Score, Verdict

ANNA, BERTA = "anna@example.org", "berta@example.net"
NOW = 1_800_000_000.0
DAY = 86400.0
FAKE = Judgement(Verdict.FAKE, "m-1", Score(0.97, 0.02, 0.01))


def hold(
    quarantine: Quarantine,
    *recipients: str,
    subject: str = "Kooperation",
    state: State = State.HELD,
) -> tuple[str, ...]:
    """Hold one mail for some recipients; the items' ids."""
    mail = f"From: Max <max@example.com>\r\nSubject: {subject}\r\n\r\nDear webmaster\r\n"
    to = [Address(f"<{recipient}>".encode(), b"") for recipient in recipients]
    envelope = Envelope(Address(b"<max@example.com>", b""), to)
    batch = quarantine.hold([mail.encode()], envelope, to, FAKE, state)
    batch.commit()
    return batch.ids


def tokens(octets: bytes) -> list[str]:
    """The tokens of the links in a digest's text."""
    mail = message_from_bytes(octets, policy=policy.default)
    # A letter always has plain text; without it the test fails here, as it should.
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return re.findall(r"/link/([\w-]+)", text)

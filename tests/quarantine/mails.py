"""Mails to be held, and looking at what became of them."""

from __future__ import annotations

from pathlib import Path

from milter.quarantine.store import Batch, Quarantine, Query, State
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.action import header_fields
from milter.spam.verdict import Judgement, Score, Verdict

FAKE = Judgement(
    Verdict.FAKE,
    "2026.11.23-0000000",
    Score(0.97, 0.02, 0.01),
    asks=("link",),
    offers=("free-content",),
    clues=[("kostenlos", 1.25)],
)
ANNA, BERT = "anna@example.net", "bert@example.net"


def address(mailbox: str, parameters: str = "") -> Address:
    return Address(f"<{mailbox}>".encode(), parameters.encode())


def envelope(sender: str = "pitch@example.org", parameters: str = "") -> Envelope:
    return Envelope(address(sender, parameters))


def mail(subject: str = "Kooperation", author: str = "Pia <pitch@example.org>") -> bytes:
    """A mail as it comes: no field of ours yet."""
    head = f"From: {author}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@example.org>\r\n"
    return head.encode() + b"\r\nWir schenken Ihnen einen Gastbeitrag.\r\n.\r\n"


def tagged(content: bytes, judgement: Judgement = FAKE) -> bytes:
    return b"".join(header_fields(judgement)) + content


def hold(
    quarantine: Quarantine,
    *recipients: str,
    content: bytes = b"",
    judgement: Judgement = FAKE,
    state: State = State.HELD,
    sender: Envelope | None = None,
) -> Batch:
    """Hold a mail, not committed yet."""
    addresses = [address(recipient) for recipient in recipients or (ANNA,)]
    pieces = [tagged(content or mail(), judgement)]
    return quarantine.hold(pieces, sender or envelope(), addresses, judgement, state)


def held(quarantine: Quarantine, *recipients: str, **more: object) -> str:
    """Hold a mail; the id of the first recipient's item."""
    # What is passed on is checked by who takes it.
    batch = hold(quarantine, *recipients, **more)  # type: ignore[arg-type]
    batch.commit()
    return batch.ids[0]


def ids(quarantine: Quarantine, query: Query | None = None) -> list[str]:
    """What a list shows."""
    return [item.id for item in quarantine.find(query or Query()).items]


def files(folder: Path) -> list[str]:
    """Every file below ``folder`` but the index's own."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if not path.name.startswith("index."))

"""What is known of senders, on a folder of its own, and mails for it."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from trust.signing import MAIL

from milter.smtp.command import Address
from milter.smtp.content import Content
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored
from milter.trust.dns import Resolver
from milter.trust.memory import Memory
from milter.trust.senders import Senders
from milter.trust.trust import Trust

AUTHOR = "anna@author.example"
OWNER = "owner@example.net"
SCORE = Score(0.98, 0.01, 0.01)
FAKE = Judgement(Verdict.FAKE, "m", SCORE, asks=("link",), clues=[("backlink", 2.0)])
UNSURE, NONE, GENUINE = (
    Judgement(verdict, "m", SCORE) for verdict in (Verdict.UNSURE, Verdict.NONE, Verdict.GENUINE)
)
SHORT = unscored(Reason.TOO_LITTLE_TEXT, "m")
TRUSTED = unscored(Reason.TRUSTED_SENDER, "m")

GOOD, BAD, UNSIGNED, SERVFAIL = "good", "bad", "unsigned", "servfail"
PITCH = MAIL.replace(b"Your order", b"A partnership for your page")


def chaser(*fields: bytes, author: bytes = b"anna@author.example", subject: bytes = b"Hm") -> bytes:
    own = (b"From: " + author, b"Subject: " + subject, b"Message-ID: <2@author.example>")
    return b"".join(line + b"\r\n" for line in (*own, *fields)) + b"\r\nAny news?\r\n"


REPLY = b"In-Reply-To: <1@author.example>"


@dataclass
class Rig:
    """A Trust on a folder of its own, and mails for it."""

    folder: Path
    nameservers: tuple[str, ...]
    allowed: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    threads: bool = True
    outgoing: bool = True
    authserv_id: str = ""
    trust: Trust = field(init=False)

    def __post_init__(self) -> None:
        self.trust = Trust(
            Senders(self.allowed, self.refused),
            Memory(self.folder / "state"),
            Resolver(self.nameservers, 2.0),
            threads=self.threads,
            outgoing=self.outgoing,
            authserv_id=self.authserv_id,
        )

    def weigh(self, mail: bytes, judgement: Judgement, sender: str = AUTHOR) -> Judgement:
        return asyncio.run(self.weighed(mail, judgement, sender))

    async def weighed(self, mail: bytes, judgement: Judgement, sender: str) -> Judgement:
        with closing(content_of(mail)) as content:
            return await self.trust.weigh(mail[:MEBI], content, envelope(sender, OWNER), judgement)

    def writes(self, *to: str, head: bytes = b"From: owner@example.net\r\n\r\n") -> None:
        self.trust.wrote_to(head, envelope(OWNER, *to))


MEBI = 1 << 20


def content_of(octets: bytes) -> Content:
    content = Content(MEBI)
    content.write(octets)
    return content


def envelope(sender: str, *to: str) -> Envelope:
    addresses = [Address(f"<{who}>".encode(), b"") for who in (sender, *to)]
    return Envelope(addresses[0], addresses[1:])

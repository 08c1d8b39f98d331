"""A held mail is let go: it goes on, is filed, and its thread is no fake's any more."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from smtp import rig
from smtp.scripted_hop import ScriptedHop

from milter import config
from milter.letting_go import file, let_go
from milter.quarantine.store import Quarantine
from milter.smtp.command import Address
from milter.smtp.content import Content
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Reason, Score, Verdict
from milter.trust.trust import Trust, build

FAKE = Judgement(Verdict.FAKE, "m-1", Score(0.99, 0.005, 0.005))
NONE = Judgement(Verdict.NONE, "m-1", Score(0.1, 0.1, 0.8))
PITCH = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\nSubject: Hello\r\n\r\nA pitch.\r\n"
CHASING = PITCH.replace(b"<1@", b"<2@").replace(
    b"\r\nSubj", b"\r\nIn-Reply-To: <1@b.example>\r\nSubj"
)
ENVELOPE = Envelope(Address(b"<a@b.example>", b""), [Address(b"<o@here.example>", b"")])


class Site:
    """A quarantine with one fake in it, which the filter remembers."""

    def __init__(self, folder: Path) -> None:
        self.settings = config.load(
            None,
            {
                "quarantine": {"folder": str(folder / "held")},
                "trust": {"folder": str(folder / "state")},
                "review": {"feedback": str(folder / "feedback")},
            },
        )
        self.quarantine = Quarantine(folder / "held")
        self.quarantine.prepare()
        batch = self.quarantine.hold([PITCH], ENVELOPE, ENVELOPE.recipients, FAKE)
        batch.commit()
        (self.item,) = batch.ids
        with closing(self.trust()) as trust:
            trust.remember(PITCH, FAKE)
        assert self.follow_up() is Reason.THREAD

    def trust(self) -> Trust:
        built = build(self.settings)
        assert built
        return built

    def follow_up(self) -> Reason | None:
        """Why a follow-up of the mail gets its verdict."""
        with closing(self.trust()) as trust, closing(Content(1 << 20)) as content:
            content.write(CHASING)
            return asyncio.run(trust.weigh(CHASING, content, ENVELOPE, NONE)).reason

    def let_go(self, answer: bytes) -> bytes:
        async def run() -> bytes:
            hop = ScriptedHop({"dot": answer})
            await hop.start()
            next_hop = rig.next_hop_at(hop.port)
            reply = await let_go(self.settings, self.quarantine, self.item, next_hop, "anna")
            await next_hop.close()
            await hop.stop()
            return reply.octets

        return asyncio.run(run())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_released_mail_is_no_fake_to_its_follow_ups(site: Site) -> None:
    assert site.let_go(b"250 2.0.0 Ok\r\n") == b"250 2.0.0 Ok\r\n"
    assert site.follow_up() is None


def test_one_that_the_next_hop_refuses_still_is(site: Site) -> None:
    assert site.let_go(b"451 4.3.0 later\r\n").startswith(b"451")
    assert site.follow_up() is Reason.THREAD


@pytest.mark.parametrize(
    ("label", "reason"), [("none", None), ("genuine", None), ("fake", Reason.THREAD)]
)
def test_what_it_is_filed_as_counts(
    site: Site, tmp_path: Path, label: str, reason: Reason | None
) -> None:
    file(site.settings, site.quarantine, site.item, label)
    path = tmp_path / "feedback" / "o@here.example" / label / f"{site.item}.eml"
    assert path.read_bytes() == PITCH
    assert site.follow_up() is reason

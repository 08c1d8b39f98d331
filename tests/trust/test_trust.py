"""What is known of a sender against the verdict on the words: who wins, and what it costs.

DKIM keys come from a real name server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness.dns import NameServer, running_dns, silent_dns, txt
from mail.killers import KILLERS
from trust.signing import MAIL, KeyPair, key_pair, sign, signed

from milter.config import Settings
from milter.errors import StartError
from milter.sections import Filter
from milter.sections import Trust as Wanted
from milter.smtp.command import Address
from milter.smtp.content import Content
from milter.smtp.endpoint import Endpoint
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored
from milter.trust import dns
from milter.trust.dns import Resolver
from milter.trust.memory import Memory
from milter.trust.senders import Senders
from milter.trust.trust import Trust, build

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


@pytest.fixture(scope="module")
def keys() -> dict[str, KeyPair]:
    return {"good": key_pair(1024)}


@pytest.fixture(scope="module")
def name_server(keys: dict[str, KeyPair]) -> Iterator[NameServer]:
    record = f"good._domainkey TXT {txt('v=DKIM1; p=' + keys['good'].public)}"
    with running_dns({"author.example": record, "foreign.example": record}) as server:
        yield server


@pytest.fixture
def mails(keys: dict[str, KeyPair]) -> dict[str, bytes]:
    good = signed(MAIL, (sign(),), keys)
    return {
        GOOD: good,
        BAD: good.replace(b"1,200", b"9,200"),
        UNSIGNED: MAIL,
        # a zone that the server does not have: it refuses to answer
        SERVFAIL: signed(MAIL, (sign(d="example"),), keys),
        "foreign": signed(MAIL, (sign(d="foreign.example"),), keys),
        "two authors": b"From: evil@foreign.example\r\n" + good,
    }


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


@pytest.fixture
def rig(tmp_path: Path, name_server: NameServer):
    """Makes one with the settings that are given."""
    return lambda **settings: Rig(tmp_path, (name_server.address,), **settings)


# --- lists ---------------------------------------------------------------------------------------

ALLOWED = [
    # the mail, the judgement of its words, what becomes of it
    (GOOD, FAKE, TRUSTED),
    (GOOD, GENUINE, TRUSTED),
    (GOOD, SHORT, TRUSTED),
    (BAD, FAKE, FAKE),
    (BAD, NONE, NONE),
    (UNSIGNED, FAKE, FAKE),
    (SERVFAIL, FAKE, FAKE),
    ("foreign", FAKE, FAKE),
    ("two authors", FAKE, FAKE),
]


@pytest.mark.parametrize(("mail", "judgement", "expected"), ALLOWED)
def test_an_allowed_sender_must_have_signed(
    rig, mails: dict[str, bytes], mail: str, judgement: Judgement, expected: Judgement
) -> None:
    assert rig(allowed=("author.example",)).weigh(mails[mail], judgement) == expected


@pytest.mark.parametrize("entry", ["anna@author.example", "author.example", "example"])
def test_entries_that_allow(rig, mails: dict[str, bytes], entry: str) -> None:
    assert rig(allowed=(entry,)).weigh(mails[GOOD], FAKE) == TRUSTED


@pytest.mark.parametrize("entry", ["bert@author.example", "mail.author.example", "foreign.example"])
def test_entries_that_do_not(rig, mails: dict[str, bytes], entry: str) -> None:
    assert rig(allowed=(entry,)).weigh(mails[GOOD], FAKE) == FAKE


def test_the_envelope_sender_is_not_what_is_allowed(rig, mails: dict[str, bytes]) -> None:
    """It is in no signature, and no reader sees it."""
    allowing = rig(allowed=("friend.example",))
    assert allowing.weigh(mails[GOOD], FAKE, sender="me@friend.example") == FAKE


@pytest.mark.parametrize("judgement", [FAKE, NONE, GENUINE, SHORT, UNSURE])
@pytest.mark.parametrize(
    ("refused", "sender"),
    [
        ("author.example", "bounce@foreign.example"),
        ("foreign.example", "bounce@foreign.example"),
        (AUTHOR, ""),
    ],
)
def test_a_refused_sender_is_fake(
    rig, mails: dict[str, bytes], refused: str, sender: str, judgement: Judgement
) -> None:
    weighed = rig(refused=(refused,), allowed=(refused, "author.example")).weigh(
        mails[GOOD], judgement, sender
    )
    assert (weighed.verdict, weighed.reason) == (Verdict.FAKE, Reason.REFUSED_SENDER)
    assert (weighed.score, weighed.asks) == (judgement.score, judgement.asks)


def test_a_refused_sender_is_no_correspondent(rig, mails: dict[str, bytes]) -> None:
    refusing = rig(refused=(AUTHOR,))
    refusing.writes(AUTHOR)
    assert refusing.weigh(mails[GOOD], FAKE).verdict is Verdict.FAKE


def test_a_mail_too_large_to_be_checked_is_judged(rig, keys: dict[str, KeyPair]) -> None:
    large = signed(MAIL + b"x" * 78 + b"\r\n" * (6 << 20), (sign(),), keys)
    assert rig(allowed=(AUTHOR,)).weigh(large, FAKE) == FAKE


def test_a_mail_of_megabytes_is_checked_whole(rig, keys: dict[str, KeyPair]) -> None:
    large = signed(MAIL + (b"x" * 78 + b"\r\n") * 40000, (sign(),), keys)
    allowing = rig(allowed=(AUTHOR,))
    assert allowing.weigh(large, FAKE) == TRUSTED
    assert allowing.weigh(large[:-3] + b"y\r\n", FAKE) == FAKE


def test_a_header_without_end_has_no_author(rig, mails: dict[str, bytes]) -> None:
    """The second From may stand in what was not looked at."""
    endless = mails[GOOD].partition(b"\r\n\r\n")[0] + b"\r\n" + b"X: y\r\n" * 200_000
    refusing = rig(refused=(AUTHOR,))
    assert refusing.weigh(endless + b"From: b@example.net\r\n\r\n", NONE, sender="") == NONE


def test_dns_that_is_silent_is_waited_for_no_longer_than_said(
    tmp_path: Path, mails: dict[str, bytes]
) -> None:
    with silent_dns() as server:
        waiting = Trust(
            Senders([AUTHOR], []),
            Memory(tmp_path),
            Resolver((server.address,), 0.2),
            outgoing=False,
        )
        with closing(content_of(mails[GOOD])) as content:
            weighed = asyncio.run(
                waiting.weigh(mails[GOOD], content, envelope(AUTHOR, OWNER), NONE)
            )
        assert weighed == NONE
        assert server.questions(), "it was asked"


@pytest.mark.parametrize("judgement", [NONE, GENUINE, UNSURE, SHORT])
def test_dns_is_asked_only_where_it_matters(
    tmp_path: Path, mails: dict[str, bytes], judgement: Judgement
) -> None:
    with silent_dns() as server:
        busy = Rig(tmp_path, (server.address,), allowed=("foreign.example",))
        busy.writes(AUTHOR)
        assert busy.weigh(mails[GOOD], judgement) == judgement
        assert not server.questions()
        assert busy.weigh(mails[GOOD], FAKE).reason is Reason.CORRESPONDENT
        assert server.questions()


# --- Authentication-Results ----------------------------------------------------------------------

RESULT = (
    b"Received: by mx.example.test\r\n"
    b"Authentication-Results: mx.example.test; dkim=pass header.d=author.example\r\n"
)


@pytest.mark.parametrize(
    ("authserv_id", "expected"),
    [("mx.example.test", TRUSTED), ("", FAKE), ("other.example.test", FAKE)],
)
def test_results_of_our_own_host_are_believed(
    rig, mails: dict[str, bytes], authserv_id: str, expected: Judgement
) -> None:
    mail = RESULT + mails[BAD]  # so that our own check says something else
    believing = rig(allowed=(AUTHOR,), authserv_id=authserv_id)
    assert believing.weigh(mail, FAKE) == expected


# --- threads -------------------------------------------------------------------------------------

PITCH = MAIL.replace(b"Your order", b"A partnership for your page")


def chaser(*fields: bytes, author: bytes = b"anna@author.example", subject: bytes = b"Hm") -> bytes:
    own = (b"From: " + author, b"Subject: " + subject, b"Message-ID: <2@author.example>")
    return b"".join(line + b"\r\n" for line in (*own, *fields)) + b"\r\nAny news?\r\n"


REPLY = b"In-Reply-To: <1@author.example>"
FOLLOW_UPS = [
    (chaser(REPLY), SHORT, True),
    (chaser(REPLY), NONE, True),
    (chaser(REPLY), UNSURE, True),
    (chaser(REPLY), GENUINE, False),
    (chaser(REPLY), unscored(Reason.TIMEOUT, "m"), False),
    (chaser(b"References: <0@x> <1@author.example> <9@y>"), SHORT, True),
    (chaser(b"In-Reply-To: <7@author.example>"), SHORT, False),
    (chaser(), SHORT, False),
    (chaser(subject=b"Re: A partnership for your page"), SHORT, True),
    (chaser(subject=b"A partnership for your page"), SHORT, False),
    (chaser(REPLY, author=b"bert@author.example"), SHORT, False),
    (chaser(author=b"b@author.example", subject=b"Re: A partnership for your page"), SHORT, False),
    (chaser(REPLY, author=b"Anna <ANNA@author.example>"), SHORT, True),
    (chaser(REPLY, author=b"anna@author.example, bert@author.example"), SHORT, False),
]


@pytest.mark.parametrize(("mail", "judgement", "expected"), FOLLOW_UPS)
def test_a_follow_up_inherits(rig, mail: bytes, judgement: Judgement, expected: bool) -> None:
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    weighed = remembering.weigh(mail, judgement)
    if expected:
        assert (weighed.verdict, weighed.reason) == (Verdict.FAKE, Reason.THREAD)
        assert weighed.score == judgement.score
    else:
        assert weighed == judgement


def test_what_was_no_fake_has_no_heirs(rig) -> None:
    remembering = rig()
    for judgement in (NONE, GENUINE, UNSURE, SHORT):
        remembering.trust.remember(PITCH, judgement)
    assert remembering.weigh(chaser(REPLY), SHORT) == SHORT


def test_a_follow_up_of_a_follow_up_inherits(rig) -> None:
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    second = remembering.weigh(chaser(REPLY), SHORT)
    remembering.trust.remember(chaser(REPLY), second)
    third = chaser(b"In-Reply-To: <2@author.example>").replace(b"ID: <2@", b"ID: <3@")
    assert remembering.weigh(third, SHORT).reason is Reason.THREAD


def test_a_thread_that_was_released_has_no_heirs(rig) -> None:
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    remembering.trust.forget(PITCH)
    assert remembering.weigh(chaser(REPLY), SHORT) == SHORT
    assert remembering.weigh(chaser(subject=b"Re: A partnership for your page"), SHORT) == SHORT


def test_who_lets_a_follow_up_go_lets_its_thread_go(rig) -> None:
    """Else all that comes next in a conversation would be held for one mail."""
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    remembering.trust.forget(chaser(REPLY))
    assert remembering.weigh(chaser(REPLY), SHORT) == SHORT


def test_nobody_lets_the_thread_of_another_go(rig) -> None:
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    remembering.trust.forget(chaser(REPLY, author=b"bert@author.example"))
    assert remembering.weigh(chaser(REPLY), SHORT).reason is Reason.THREAD


def test_a_fake_in_somebodys_name_does_not_make_their_letters_fake(rig) -> None:
    """Anybody can write a From: who is it that answers there?"""
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    letter = Judgement(Verdict.NONE, "m", Score(0.01, 0.01, 0.98))
    answer = chaser(subject=b"Re: A partnership for your page")
    assert remembering.weigh(answer, letter) == letter
    assert remembering.weigh(answer, NONE).reason is Reason.THREAD


def test_the_owners_answer_is_not_fake(rig) -> None:
    """It comes in again where two owners share a filter, or by a list."""
    remembering = rig()
    remembering.trust.remember(PITCH, FAKE)
    answer = chaser(REPLY, author=b"owner@example.net", subject=b"Re: A partnership for your page")
    assert remembering.weigh(answer, NONE) == NONE


def test_threads_can_be_switched_off(rig, tmp_path: Path) -> None:
    off = rig(threads=False, outgoing=False)
    off.trust.remember(PITCH, FAKE)
    assert off.weigh(chaser(REPLY), SHORT) == SHORT
    assert not (tmp_path / "state").exists()


# --- correspondents ------------------------------------------------------------------------------

CORRESPONDENT = [
    (GOOD, FAKE, True),
    (UNSIGNED, FAKE, True),
    (SERVFAIL, FAKE, True),
    ("foreign", FAKE, True),
    (BAD, FAKE, False),
    ("two authors", FAKE, False),
    (GOOD, UNSURE, False),
    (GOOD, NONE, False),
    (GOOD, GENUINE, False),
    (GOOD, SHORT, False),
]


@pytest.mark.parametrize(("mail", "judgement", "softened"), CORRESPONDENT)
def test_a_correspondents_fake_is_unsure(
    rig, mails: dict[str, bytes], mail: str, judgement: Judgement, softened: bool
) -> None:
    knowing = rig()
    knowing.writes("ANNA@Author.Example")
    weighed = knowing.weigh(mails[mail], judgement)
    if softened:
        assert (weighed.verdict, weighed.reason) == (Verdict.UNSURE, Reason.CORRESPONDENT)
        assert (weighed.score, weighed.clues) == (judgement.score, judgement.clues)
    else:
        assert weighed == judgement


def test_a_stranger_of_the_same_domain_is_none(rig, mails: dict[str, bytes]) -> None:
    knowing = rig()
    knowing.writes("bert@author.example")
    assert knowing.weigh(mails[GOOD], FAKE) == FAKE


def test_an_out_of_office_note_makes_no_correspondent(rig, mails: dict[str, bytes]) -> None:
    knowing = rig()
    knowing.writes(AUTHOR, head=b"From: owner@example.net\r\nAuto-Submitted: auto-replied\r\n\r\n")
    assert knowing.weigh(mails[GOOD], FAKE) == FAKE


def test_a_correspondent_who_chases_up_a_fake_is_unsure(rig) -> None:
    """The owner has answered the pitch: what comes now is a talk."""
    knowing = rig()
    knowing.trust.remember(PITCH, FAKE)
    knowing.writes(AUTHOR)
    assert knowing.weigh(chaser(REPLY), SHORT).reason is Reason.CORRESPONDENT


def test_who_is_known_stays_known(rig, mails: dict[str, bytes]) -> None:
    before = rig()
    before.writes(AUTHOR)
    before.trust.close()
    assert rig().weigh(mails[GOOD], FAKE).reason is Reason.CORRESPONDENT


# --- faults, and what is configured --------------------------------------------------------------


def test_without_a_place_to_remember_mail_is_judged_as_it_was(
    tmp_path: Path, name_server: NameServer, mails: dict[str, bytes], caplog
) -> None:
    (tmp_path / "state").touch()
    lost = Rig(tmp_path, (name_server.address,), allowed=("author.example",))
    lost.trust.remember(PITCH, FAKE)
    lost.writes(AUTHOR)
    assert lost.weigh(mails[BAD], FAKE) == FAKE
    assert lost.weigh(chaser(REPLY), SHORT) == SHORT
    assert lost.weigh(mails[GOOD], FAKE) == TRUSTED
    assert "mail goes on without it" in caplog.text
    assert "anna" not in caplog.text


@pytest.mark.parametrize("name", KILLERS)
def test_mails_built_to_hurt_are_weighed(rig, name: str) -> None:
    knowing = rig(allowed=("example",), refused=("refused.example",), authserv_id="mx.example.test")
    killer = RESULT + KILLERS[name](100_000)
    for judgement in (FAKE, SHORT):
        assert knowing.weigh(killer, judgement) == judgement
    knowing.trust.remember(killer, FAKE)
    knowing.writes(AUTHOR, head=killer)


def test_no_address_gets_into_the_log(rig, mails: dict[str, bytes], caplog) -> None:
    caplog.set_level(logging.DEBUG)
    knowing = rig(allowed=(AUTHOR,), refused=("refused.example",))
    knowing.writes("friend@author.example")
    for mail in mails.values():
        knowing.weigh(mail, FAKE, sender="bounce@refused.example")
        knowing.weigh(mail, FAKE)
        knowing.trust.remember(mail, FAKE)
    for word in ("anna", "friend", "bounce", "owner"):
        assert word not in caplog.text


def settings(tmp_path: Path, arrangement: str = "before-queue", **trust: object) -> Settings:
    wanted = {"threads": False, "folder": tmp_path, "nameservers": ("127.0.0.1:53",)} | trust
    return Settings(filter=Filter(arrangement=arrangement), trust=Wanted(**wanted))


def test_nothing_wanted_is_no_trust(tmp_path: Path) -> None:
    assert build(settings(tmp_path)) is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"threads": True},
        {"allowed": ("example.org",)},
        {"refused": ("example.org",)},
        {"outgoing": str(Endpoint.parse("127.0.0.1:10027"))},
    ],
)
def test_what_is_wanted_is_built(tmp_path: Path, wanted: dict[str, object]) -> None:
    built = build(settings(tmp_path / "state", **wanted))
    assert built
    built.close()
    assert not (tmp_path / "state").exists(), "nothing is opened before the first mail"


@pytest.mark.parametrize(
    ("arrangement", "expected"), [("before-queue", FAKE), ("after-queue", TRUSTED)]
)
def test_results_are_believed_behind_the_queue_only(
    tmp_path: Path,
    name_server: NameServer,
    mails: dict[str, bytes],
    arrangement: str,
    expected: Judgement,
) -> None:
    """In front of it, no milter has been asked yet: the sender has written them."""
    wanted = {"allowed": (AUTHOR,), "authserv_id": "mx.example.test"}
    built = build(settings(tmp_path, arrangement, nameservers=(name_server.address,), **wanted))
    assert built
    mail = RESULT + mails[BAD]
    with closing(content_of(mail)) as content:
        weighed = asyncio.run(built.weigh(mail, content, envelope(AUTHOR, OWNER), FAKE))
    assert weighed == expected


def test_signatures_need_a_name_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_is_named(*_: object) -> Resolver:
        raise StartError("there is no name server")

    monkeypatch.setattr(dns, "Resolver", none_is_named)
    assert build(settings(tmp_path, threads=True))
    assert build(settings(tmp_path, refused=("example.org",)))
    with pytest.raises(StartError):
        build(settings(tmp_path, allowed=("example.org",)))


def test_two_owners_share_their_correspondents(rig, mails: dict[str, bytes]) -> None:
    knowing = rig()
    knowing.trust.wrote_to(b"\r\n", envelope("one@example.net", AUTHOR))
    content = content_of(mails[GOOD])
    with closing(content):
        to_the_other = envelope(AUTHOR, "two@example.com")
        weighed = asyncio.run(knowing.trust.weigh(mails[GOOD], content, to_the_other, FAKE))
    assert weighed.reason is Reason.CORRESPONDENT

"""What is known of a sender against the verdict on the words: who wins, and what it costs.

DKIM keys come from a real name server.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import closing
from pathlib import Path

import pytest
from harness.dns import NameServer, silent_dns
from mail.killers import KILLERS
from trust.rig import (
    AUTHOR,
    BAD,
    FAKE,
    GENUINE,
    GOOD,
    NONE,
    OWNER,
    PITCH,
    REPLY,
    SERVFAIL,
    SHORT,
    TRUSTED,
    UNSIGNED,
    UNSURE,
    Rig,
    chaser,
    content_of,
    envelope,
)
from trust.signing import MAIL, KeyPair, sign, signed

from milter.config import Settings
from milter.errors import StartError
from milter.sections import Filter
from milter.sections import Trust as Wanted
from milter.smtp.endpoint import Endpoint
from milter.spam.verdict import Judgement, Reason, Verdict
from milter.trust import dns
from milter.trust.dns import Resolver
from milter.trust.memory import Memory
from milter.trust.senders import Senders
from milter.trust.trust import Trust, build

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

"""Who writes again: threads of a fake, and people whom one has written to."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust.rig import (
    AUTHOR,
    BAD,
    FAKE,
    GENUINE,
    GOOD,
    NONE,
    PITCH,
    REPLY,
    SERVFAIL,
    SHORT,
    UNSIGNED,
    UNSURE,
    chaser,
)

from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored

# --- threads -------------------------------------------------------------------------------------

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

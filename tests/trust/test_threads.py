"""Follow-ups: what they say that they belong to, and which verdicts a thread may overrule."""

from __future__ import annotations

import pytest

from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored
from milter.trust.threads import Links, inherits, leaves_trace


def links(*fields: bytes) -> Links:
    return Links(b"".join(field + b"\r\n" for field in fields) + b"\r\nSubject: body\r\n")


EARLIER = {
    "in-reply-to": ((b"In-Reply-To: <1@x.example>",), [b"1@x.example"]),
    "references": ((b"References: <1@x> <2@x>\r\n\t<3@x>",), [b"1@x", b"2@x", b"3@x"]),
    "both, once": ((b"References: <1@x> <2@x>", b"In-Reply-To: <2@x>"), [b"2@x", b"1@x"]),
    "other spelling": ((b"in-reply-TO : <1@x>",), [b"1@x"]),
    "words of old clients": ((b'In-Reply-To: Your message of "Mon" <1@x>',), [b"1@x"]),
    "the last ten": (
        (b"References: " + b" ".join(b"<%d@x>" % n for n in range(30)),),
        [b"%d@x" % n for n in range(20, 30)],
    ),
    "endless": ((b"References: " + b"<a@x> " * 50000 + b"<z@x>",), [b"a@x", b"z@x"]),
    "no brackets": ((b"In-Reply-To: 1@x",), []),
    "empty": ((b"In-Reply-To:", b"References: <> < >"), []),
    "none": ((b"Subject: x",), []),
    "the first of two fields": ((b"In-Reply-To: <1@x>", b"In-Reply-To: <2@x>"), [b"1@x"]),
}


@pytest.mark.parametrize("case", EARLIER)
def test_the_mails_that_it_belongs_to(case: str) -> None:
    fields, expected = EARLIER[case]
    assert links(*fields).earlier == expected


def test_its_own_message_id_is_written_as_answers_write_it() -> None:
    (own,) = links(b"Message-ID:\r\n <Ab.1@X.example>").own
    assert links(b"In-Reply-To: <Ab.1@X.example>").earlier == [own]
    assert links(b"Subject: x").own == []


TOPIC = "a partnership for your page"
ANSWERS = [
    "Re: A partnership for your page",
    "RE: a  Partnership for your page",
    "Re: Re: AW: A partnership for your page",
    "Antw: A partnership for your page",
    "Fwd: A partnership for your page",
    "Re[2]: A partnership for your page",
    "SV : A partnership for your page",
    "=?utf-8?q?Re=3A_A_partnership?= for your page",
]
NO_ANSWERS = [
    "A partnership for your page",  # the same once more: newsletters have one title for years
    "Reply: A partnership for your page",
    "",
]
TOO_COMMON = ["Re: Hello", "Re: ", "Re: your invoice", "AW: Hi, a b", "Re:"]


@pytest.mark.parametrize("subject", ANSWERS)
def test_a_subject_that_answers(subject: str) -> None:
    assert links(b"Subject: " + subject.encode()).earlier_topic == TOPIC
    assert links(b"Subject: " + subject.encode()).topic == TOPIC


@pytest.mark.parametrize("subject", NO_ANSWERS + TOO_COMMON)
def test_a_subject_that_does_not(subject: str) -> None:
    assert links(b"Subject: " + subject.encode()).earlier_topic == ""


def test_a_first_mail_has_a_topic_too() -> None:
    assert links(b"Subject: A partnership for your page").topic == TOPIC
    assert links(b"Subject: Hello").topic == ""
    assert links(b"X: y").topic == ""


def judged(verdict: Verdict, reason: Reason | None = None) -> Judgement:
    return Judgement(verdict, "m", Score(0.3, 0.3, 0.4), reason)


MAY_INHERIT = [
    (judged(Verdict.UNSURE), True),
    (judged(Verdict.NONE), True),
    (Judgement(Verdict.NONE, "m", Score(0.02, 0.01, 0.97)), False),  # a letter, no chaser
    (Judgement(Verdict.UNSURE, "m", Score(0.02, 0.49, 0.49)), True),
    (unscored(Reason.TOO_LITTLE_TEXT, "m"), True),
    (judged(Verdict.GENUINE), False),  # it says enough to be judged, and is judged well
    (judged(Verdict.FAKE), False),  # it is one already
    (unscored(Reason.TIMEOUT, "m"), False),
    (unscored(Reason.UNREADABLE, "m"), False),
]


@pytest.mark.parametrize(("judgement", "expected"), MAY_INHERIT)
def test_whose_verdict_a_thread_overrules(judgement: Judgement, expected: bool) -> None:
    assert inherits(judgement) is expected


@pytest.mark.parametrize(
    ("judgement", "expected"),
    [
        (judged(Verdict.FAKE), True),
        (judged(Verdict.FAKE, Reason.THREAD), True),
        (judged(Verdict.FAKE, Reason.REFUSED_SENDER), False),
        (judged(Verdict.UNSURE, Reason.CORRESPONDENT), False),
        (judged(Verdict.GENUINE), False),
    ],
)
def test_which_mails_are_remembered(judgement: Judgement, expected: bool) -> None:
    assert leaves_trace(judgement) is expected

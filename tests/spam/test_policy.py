"""What becomes of a mail, as a table: verdict and wish in, action out."""

from __future__ import annotations

import pytest

from milter.spam.action import Action
from milter.spam.policy import Policy, Wish, action_for, plan
from milter.spam.verdict import Judgement, Reason, Verdict

T, S, Q, N = Action.TAG, Action.TAG_SUBJECT, Action.QUARANTINE, Action.NOTHING
OTHERS = [Verdict.GENUINE, Verdict.NONE, Verdict.UNSURE, Verdict.UNSCORED]

# wish                 armed: fake   not armed: fake   any other verdict, armed or not
TABLE = [
    (Wish.TAG, T, T, T),
    (Wish.TAG_SUBJECT, S, S, T),
    (Wish.QUARANTINE, Q, T, T),
    (Wish.NOTHING, N, N, N),
]
CASES = [
    case
    for wish, armed, unarmed, other in TABLE
    for case in [
        (wish, Verdict.FAKE, True, armed),
        (wish, Verdict.FAKE, False, unarmed),
        *((wish, verdict, is_armed, other) for verdict in OTHERS for is_armed in (True, False)),
    ]
]
NAMED = {
    "anna@example.org": Wish.QUARANTINE,
    "example.org": Wish.TAG_SUBJECT,
    "example.net": Wish.NOTHING,
}


@pytest.mark.parametrize(("wish", "verdict", "armed", "action"), CASES)
def test_the_table(wish: Wish, verdict: Verdict, armed: bool, action: Action) -> None:
    assert action_for(Judgement(verdict, "m"), wish, armed) is action


@pytest.mark.parametrize("reason", [Reason.REFUSED_SENDER, Reason.THREAD])
def test_a_fake_for_another_reason_is_a_fake(reason: Reason) -> None:
    judgement = Judgement(Verdict.FAKE, "m", reason=reason)
    assert action_for(judgement, Wish.QUARANTINE, armed=True) is Action.QUARANTINE


@pytest.mark.parametrize(
    ("mailbox", "wish"),
    [
        ("anna@example.org", Wish.QUARANTINE),
        ("bert@example.org", Wish.TAG_SUBJECT),
        ("bert@example.net", Wish.NOTHING),
        ("bert@sub.example.net", Wish.TAG),  # a domain is that domain
        ("anna@example.com", Wish.TAG),
        ("postmaster", Wish.TAG),
        ("", Wish.TAG),
        ('"example.net"', Wish.TAG),
    ],
)
def test_the_address_before_its_domain_before_the_default(mailbox: str, wish: Wish) -> None:
    assert Policy(named=NAMED).wish_of(mailbox) is wish


def test_one_mail_and_several_wishes() -> None:
    mailboxes = ["anna@example.org", "b@example.net", "bert@example.org", "c@example.net"]
    fake = Judgement(Verdict.FAKE, "m")
    assert plan(fake, mailboxes, Policy(named=NAMED), armed=True) == {Q: [0], N: [1, 3], S: [2]}
    none = Judgement(Verdict.NONE, "m")
    assert plan(none, mailboxes, Policy(named=NAMED), armed=True) == {T: [0, 2], N: [1, 3]}


@pytest.mark.parametrize(
    ("policy", "may_hold"),
    [
        (Policy(), False),
        (Policy(Wish.NOTHING), False),
        (Policy(Wish.QUARANTINE), True),
        (Policy(named={"example.org": Wish.NOTHING}), True),  # a mail may have to be divided
        (Policy(Wish.QUARANTINE, shadow=True), False),
    ],
)
def test_who_may_have_to_hold_a_mail(policy: Policy, may_hold: bool) -> None:
    assert policy.may_hold is may_hold

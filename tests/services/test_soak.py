"""The small version of tests/bench/soak.py, and that its check finds what it is there to find."""

from __future__ import annotations

import pytest
from bench import soak
from bench.soak import Mail, Outcome

SEED = 1


def arrived(attempt: int = 0, queue_id: str = "A1", verdicts: int = 1) -> bytes:
    """Mail 0 as it lies in the mailbox."""
    head = f"Return-Path: <soak-0-{attempt}@example.org>\r\n"
    head += f"Received: from x\r\n\tby mx (Postfix) with ESMTP id {queue_id}\r\n"
    head += "X-Coop-Verdict: none; score=0.01\r\n" * verdicts
    content = soak.compose(SEED, 0).removeprefix(b"X-Coop-Verdict: genuine; score=0.00\r\n")
    return (head.encode() + content).replace(b"\r\n", b"\n")


@pytest.mark.postfix
def test_kills_lose_nothing() -> None:
    assert soak.main(["--mails", "300", "--kills", "6", "--seed", str(SEED)]) == 0


def test_a_mail_that_arrived_once_is_no_fault() -> None:
    findings = soak.check([Mail(0, [Outcome.ACCEPTED])], [arrived()])
    assert not findings.faults
    assert not findings.duplicates


@pytest.mark.parametrize("outcome", [Outcome.NO_REPLY, Outcome.UNSURE])
def test_a_duplicate_with_a_reason(outcome: Outcome) -> None:
    mails = [Mail(0, [outcome, Outcome.ACCEPTED])]
    findings = soak.check(mails, [arrived(0, "A1"), arrived(1, "B2")])
    assert not findings.faults
    assert findings.duplicates == {outcome: 1}


def test_a_second_delivery_by_postfix_itself() -> None:
    findings = soak.check([Mail(0, [Outcome.ACCEPTED])], [arrived(), arrived()])
    assert not findings.faults
    assert findings.duplicates.total() == 1


@pytest.mark.parametrize(
    ("outcomes", "mailbox", "fault"),
    [
        ([Outcome.ACCEPTED], [], "lost"),
        # It is there, but not by the attempt that was told 250.
        ([Outcome.NO_REPLY, Outcome.ACCEPTED], [arrived(0)], "lost"),
        ([Outcome.REFUSED], [], "refused"),
        ([Outcome.PUT_OFF], [], "never accepted"),
        ([Outcome.NOT_SENT, Outcome.ACCEPTED], [arrived(0), arrived(1)], "arrived all the same"),
        ([Outcome.PUT_OFF, Outcome.ACCEPTED], [arrived(0), arrived(1)], "arrived all the same"),
        ([Outcome.ACCEPTED], [arrived(0, "A1"), arrived(0, "B2")], "2 mails by one attempt"),
        ([Outcome.ACCEPTED], [arrived(verdicts=0)], "0 X-Coop-Verdict"),
        ([Outcome.ACCEPTED], [arrived(verdicts=2)], "2 X-Coop-Verdict"),
        ([Outcome.ACCEPTED], [arrived()[:-5]], "damaged"),
        ([Outcome.ACCEPTED], [arrived().replace(b"Soak-Id: 0", b"Soak-Id: 1")], "damaged"),
    ],
)
def test_what_must_not_be(outcomes: list[Outcome], mailbox: list[bytes], fault: str) -> None:
    (found,) = soak.check([Mail(0, outcomes)], mailbox).faults
    assert found.endswith(fault)

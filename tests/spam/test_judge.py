"""Judging never raises and never hangs, whatever the mail is."""

from __future__ import annotations

import re
import signal
import threading
import time

import pytest
from spam.tiny import FAKE

from milter.spam import judge as module
from milter.spam.bundle import Bundle
from milter.spam.judge import judge_content
from milter.spam.verdict import Judgement, Reason, Verdict


def endless(content: bytes) -> None:
    """A regular expression that would run for years."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def broken(content: bytes) -> None:
    raise ValueError("a fault of ours")


def unscored(judgement: Judgement, reason: Reason, bundle: Bundle) -> bool:
    return judgement == Judgement(Verdict.UNSCORED, bundle.version, reason=reason)


def test_a_mail_is_judged(bundle: Bundle) -> None:
    assert judge_content(FAKE, bundle, 2.0).verdict is Verdict.FAKE


def test_deadline(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_text", endless)
    start = time.monotonic()
    assert unscored(judge_content(FAKE, bundle, 0.05), Reason.TIMEOUT, bundle)
    assert time.monotonic() - start < 5


def test_deadline_leaves_no_alarm_behind(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGALRM)
    judge_content(FAKE, bundle, 2.0)
    with monkeypatch.context() as patch:
        patch.setattr(module, "read_text", endless)
        judge_content(FAKE, bundle, 0.05)
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    assert signal.getsignal(signal.SIGALRM) == before
    assert judge_content(FAKE, bundle, 2.0).verdict is Verdict.FAKE


def test_in_a_thread_there_is_no_deadline_but_a_verdict(bundle: Bundle) -> None:
    judgements: list[Judgement] = []
    thread = threading.Thread(target=lambda: judgements.append(judge_content(FAKE, bundle, 2.0)))
    thread.start()
    thread.join()
    assert judgements[0].verdict is Verdict.FAKE


@pytest.mark.parametrize("step", ["read_text", "tokenize", "judge"])
def test_an_exception_is_unreadable(
    step: str, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, step, lambda *_: broken(b""))
    assert unscored(judge_content(FAKE, bundle, 2.0), Reason.UNREADABLE, bundle)


@pytest.mark.parametrize(
    "body",
    [
        bytes(octet for octet in range(256) if octet not in b"\0\r\n") * 20,
        b"\x01\x02\x03\x04 \x05\x06 " * 100,
        b"Content " + b"\x81\x8d\x8f\x90\x9d" * 100,
    ],
    ids=["all octets", "control characters", "octets of no charset"],
)
def test_garbled_octets_are_unreadable(body: bytes, bundle: Bundle) -> None:
    content = b"Subject: Hello\r\n\r\n" + body + b"\r\n"
    assert unscored(judge_content(content, bundle, 2.0), Reason.UNREADABLE, bundle)


@pytest.mark.parametrize("content", [b"", b"\r\n", b"Subject: hi\r\n", b"Subject: hi\r\n\r\n \r\n"])
def test_too_little_text(content: bytes, bundle: Bundle) -> None:
    assert unscored(judge_content(content, bundle, 2.0), Reason.TOO_LITTLE_TEXT, bundle)

"""The filter hands mail on to a real Dovecot through LMTP."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.dovecot import Dovecot, running_dovecot
from harness.filter import running_filter

pytestmark = pytest.mark.dovecot


@pytest.fixture
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot("owner@example.net") as running:
        yield running


def test_mail_reaches_the_mailbox(dovecot: Dovecot, tmp_path: Path) -> None:
    text = "Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"
    with (
        running_filter(tmp_path, "", "--next-hop", f"lmtp:127.0.0.1:{dovecot.lmtp}") as running,
        smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client,
    ):
        people = ["nobody@example.net", "owner@example.net", "other@example.net"]
        refused = client.sendmail("a@example.org", people, text)
    assert refused["nobody@example.net"][0] == 550  # Dovecot's own word
    assert refused["other@example.net"][0] == 452  # the filter's: one recipient a mail
    (mail,) = (dovecot.mail / "owner@example.net" / "new").iterdir()
    assert b"X-Coop-Verdict: none" in mail.read_bytes()

"""No second mail is ever smuggled past the filter into a real Postfix.

The attack: inside one mail's content stands what one server takes for the end of data and another
one does not, and behind it a second envelope. The Postfix behind the filter runs at its default
settings, which on Debian 12 take LF.LF for an end of data.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest
from harness.filter import RunningFilter, running_filter
from harness.postfix import Postfix, running_postfix
from harness.smuggling import SMUGGLED_ENDS

pytestmark = pytest.mark.postfix

# The last one has a true end of data in it, and octets behind that.
SEQUENCES = (*SMUGGLED_ENDS, b"\r\r\n.\r\n\r")
ENVELOPE = (
    b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<owner@example.net>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nsmuggled\r\n.\r\n"
)


@pytest.fixture(scope="module", params=["before-queue", "after-queue"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Postfix, RunningFilter]]:
    """A filter in front of a Postfix listener that knows nothing of smuggling."""
    settings = f'[filter]\narrangement = "{request.param}"\n'
    with (
        running_postfix("before-queue", defaults_behind=True) as postfix,
        running_filter(
            tmp_path_factory.mktemp("filter"),
            settings,
            "--next-hop",
            f"127.0.0.1:{postfix.behind_port}",
        ) as running,
    ):
        yield postfix, running


@pytest.mark.parametrize("sequence", SEQUENCES, ids=lambda sequence: repr(sequence)[2:-1])
def test_one_mail_at_most(site: tuple[Postfix, RunningFilter], sequence: bytes) -> None:
    """The attack as content: one mail arrives, its whole text in it, or none at all."""
    postfix, running = site
    before = set(postfix.mails())
    attack = b"Subject: attack\r\n\r\nbefore" + sequence + ENVELOPE
    replies = send_raw(running, attack)
    new = settled(postfix, before, sure=b"250" in replies)
    assert len(new) <= 1
    for mail in new:
        assert b"Return-Path: <a@example.org>" in mail
        assert b"X-Coop-Verdict" in mail


def send_raw(running: RunningFilter, content: bytes) -> list[bytes]:
    """Send ``content`` behind DATA in one piece; the codes of all replies from then on."""
    with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
        client.ehlo("attacker.example")
        client.docmd("MAIL FROM:<a@example.org>")
        client.docmd("RCPT TO:<owner@example.net>")
        assert client.docmd("DATA")[0] == 354
        client.send(content + b"QUIT\r\n")
        said = b""
        while octets := client.sock.recv(65536):
            said += octets
        client.close()
    return [line[:3] for line in said.split(b"\r\n") if line]


def settled(postfix: Postfix, before: set[bytes], sure: bool) -> list[bytes]:
    """What arrived besides ``before``, once a harmless mail sent behind it is there, too."""
    count = len(before) + sure
    with smtplib.SMTP("127.0.0.1", postfix.behind_port, timeout=30) as client:
        client.sendmail("last@example.org", ["owner@example.net"], "Subject: last\r\n\r\nx\r\n")
    arrived = postfix.wait_for_mails(count + 1)
    return [m for m in arrived if m not in before and b"Return-Path: <last@example.org>" not in m]

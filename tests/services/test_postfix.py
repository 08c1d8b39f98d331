"""A mail goes through a real Postfix and the filter into a mailbox, in both arrangements.

Postfix is set up with the very files of deploy/postfix.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import dkim
import pytest
from harness.filter import RunningFilter, running_filter
from harness.ports import wait_until
from harness.postfix import Postfix, running_postfix

pytestmark = pytest.mark.postfix

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "deploy" / "demo"
FORGED = (
    b"X-Coop-Verdict: genuine; score=0.00\r\n",
    b"x-coop-verdict: genuine\r\n",
    b"X-COOP-VERDICT \t: genuine\r\n",
    b"X-Coop-Verdict:\r\n genuine;\r\n\tscore=0.00\r\n",
    b"X-Coop-Clues: nothing (-9.9)\r\n",
)

Site = tuple[Postfix, RunningFilter]


@pytest.fixture(scope="module", params=["before-queue", "after-queue"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Postfix and the filter, each knowing the other."""
    folder = tmp_path_factory.mktemp("filter")
    settings = f'[filter]\narrangement = "{request.param}"\n'
    with (
        running_postfix(request.param) as postfix,
        running_filter(
            folder,
            settings,
            "--next-hop",
            f"127.0.0.1:{postfix.behind_port}",
            port=postfix.filter_port,
        ) as judge,
    ):
        yield postfix, judge


def send(postfix: Postfix, octets: bytes) -> EmailMessage:
    """Send a mail to Postfix; the one that arrives in the mailbox."""
    before = set(postfix.mails())
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.sendmail("sender@example.org", ["owner@example.net"], octets)
    after = postfix.wait_for_mails(len(before) + 1)
    (arrived,) = [mail for mail in after if mail not in before]
    return message_from_bytes(arrived, policy=policy.default)


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("sample", "verdict"),
    [
        ("1-fake-de", "fake"),
        ("2-fake-en", "fake"),
        ("3-genuine-de", "genuine"),
        ("4-genuine-en", "genuine"),
        ("5-none-de", "none"),
        ("6-none-en", "none"),
    ],
)
def test_each_kind_of_mail_arrives_with_its_verdict(site: Site, sample: str, verdict: str) -> None:
    postfix, judge = site
    octets = crlf((DEMO / f"{sample}.eml").read_bytes())
    mail = send(postfix, octets)
    (found,) = mail.get_all("X-Coop-Verdict")
    assert found.split(";")[0] == verdict
    assert len(mail.get_all("X-Coop-Clues", [])) == 1
    sent = message_from_bytes(octets, policy=policy.default)
    assert mail.get_content().splitlines() == sent.get_content().splitlines()
    # The line is written behind the next hop's reply: the mail may be in its mailbox before it.
    wait_until(lambda: f"verdict={verdict}" in judge.log, f"the filter's line: {judge.log}")


def test_forged_verdicts_are_gone(site: Site) -> None:
    postfix, _ = site
    octets = crlf((DEMO / "1-fake-de.eml").read_bytes())
    mail = send(postfix, b"".join(FORGED) + octets)
    assert [value.split(";")[0] for value in mail.get_all("X-Coop-Verdict")] == ["fake"]
    assert len(mail.get_all("X-Coop-Clues")) == 1
    assert "nothing" not in mail["X-Coop-Clues"]


def test_a_dkim_signature_still_verifies(site: Site) -> None:
    postfix, _ = site
    key = (Path(__file__).parent / "dkim-key.pem").read_bytes()
    octets = crlf((DEMO / "4-genuine-en.eml").read_bytes())
    signed = dkim.sign(octets, b"test", b"rivers-trust-colne.example", key) + octets
    send(postfix, signed)
    (arrived,) = [mail for mail in postfix.mails() if b"DKIM-Signature" in mail]
    assert b"X-Coop-Verdict" in arrived
    assert dkim.verify(arrived, dnsfunc=dns)
    assert not dkim.verify(arrived.replace(b"1,200", b"9,200"), dnsfunc=dns)


def dns(name: bytes, timeout: int = 5) -> bytes:
    """The test's DNS: the public half of dkim-key.pem."""
    assert name == b"test._domainkey.rivers-trust-colne.example."
    return b"v=DKIM1; k=rsa; p=" + (Path(__file__).parent / "dkim-public.txt").read_bytes().strip()


def test_the_client_behind_postfix_is_known_to_both(site: Site) -> None:
    postfix, judge = site
    send(postfix, crlf((DEMO / "6-none-en.eml").read_bytes()))
    assert "client=127.0.0.1" in judge.log
    assert (
        "client=localhost[127.0.0.1]" in postfix.log or "client=unknown[127.0.0.1]" in postfix.log
    )


def test_sessions_share_a_connection_and_nothing_else(site: Site) -> None:
    """What Postfix was told of one mail's client it must not say of the next one's."""
    postfix, judge = site
    told, before = len(postfix.log), len(postfix.mails())
    octets = crlf((DEMO / "5-none-de.eml").read_bytes())
    for client in (" ADDR=192.0.2.7 NAME=one.example", None, " ADDR=192.0.2.9 NAME=two.example"):
        with smtplib.SMTP("127.0.0.1", judge.port, timeout=60) as session:
            session.ehlo()
            assert not client or session.docmd("XFORWARD" + client)[0] == 250
            session.sendmail("sender@example.org", ["owner@example.net"], octets)
    postfix.wait_for_mails(before + 3)
    named = re.findall(r"orig_client=(\S+)|client=\S+$", postfix.log[told:], re.MULTILINE)
    assert named == ["one.example[192.0.2.7]", "", "two.example[192.0.2.9]"]
    assert postfix.log[told:].count(": connect from") <= 1


def test_a_null_sender_and_dsn_parameters_get_through(site: Site) -> None:
    postfix, _ = site
    before = set(postfix.mails())
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo()
        assert client.docmd("MAIL FROM:<> BODY=8BITMIME RET=HDRS ENVID=AbC")[0] == 250
        rcpt = "RCPT TO:<owner@example.net> NOTIFY=NEVER ORCPT=rfc822;Owner@example.net"
        assert client.docmd(rcpt)[0] == 250
        assert client.data(crlf((DEMO / "5-none-de.eml").read_bytes()))[0] == 250
    after = postfix.wait_for_mails(len(before) + 1)
    (mail,) = [mail for mail in after if mail not in before]
    assert b"Return-Path: <>" in mail


def test_a_filter_that_is_down_loses_nothing(tmp_path: Path) -> None:
    """Before the queue the sender is told to try again; it still has the mail."""
    with (
        running_postfix("before-queue") as postfix,
        smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client,
    ):
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            client.sendmail("a@example.org", ["owner@example.net"], "Subject: x\r\n\r\ny\r\n")
        assert refused.value.smtp_code == 451
        assert postfix.mails() == []

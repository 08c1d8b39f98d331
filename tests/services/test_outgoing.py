"""Mail that goes out teaches the filter whom one knows; mail that comes in is judged by that.

Postfix with the very file of deploy/postfix/outgoing.master.cf, logins checked by Dovecot, and the
filter with both its listeners.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import pytest
from harness.certificate import Certificate, make_certificate
from harness.dovecot import PASSWORD, running_dovecot
from harness.filter import RunningFilter, running_filter
from harness.ports import free_port, listens, wait_until
from harness.postfix import DEPLOY, Postfix, running_postfix

pytestmark = [pytest.mark.postfix, pytest.mark.dovecot]

DEMO = DEPLOY.parent / "demo"
PITCH = (DEMO / "2-fake-en.eml").read_text(encoding="utf-8")
OWNER, PARTNER, STRANGER = "owner@example.net", "jo@partner.example", "mo@stranger.example"
CHASER = "Hi there,\n\njust checking whether you had a chance to see my last email?\n\nBest, Mo\n"
# A client that is none of Postfix's own addresses (permit_inet_interfaces).
ELSEWHERE = ("127.0.0.2", 0)

_AUTH = """
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_MAIN = """
transport_maps = inline:{{partner.example=virtual:}}
smtpd_tls_chain_files = {key}, {certificate}
"""
_TLSMGR = "tlsmgr unix - - n 1000? 1 tlsmgr\n"
_SETTINGS = """
[filter]
arrangement = "{arrangement}"
[trust]
folder = "{folder}/state"
outgoing = "127.0.0.1:{outgoing}"
outgoing_next_hop = "127.0.0.1:{behind}"
nameservers = ["127.0.0.1:{nobody}"]
[journal]
folder = "{folder}/state"
"""


@dataclass(frozen=True)
class Ports:
    """What the ports of the file are here."""

    submission: int
    submissions: int
    outgoing: int
    behind: int
    auth: int

    def in_place(self, text: str) -> str:
        """The file with these ports."""
        for name in ("submission", "submissions"):
            port = f"127.0.0.1:{getattr(self, name)}"
            text = re.sub(rf"^{name}( +inet)", rf"{port}\1", text, flags=re.MULTILINE)
        text = text.replace(":10027", f":{self.outgoing}")
        text = text.replace(":10028", f":{self.behind}")
        return text.replace("=private/auth", f"=inet:127.0.0.1:{self.auth}")


@dataclass(frozen=True)
class Site:
    postfix: Postfix
    judge: RunningFilter
    ports: Ports
    certificate: Certificate

    def submit(self, mail: bytes, wrapped: bool = False, to: str = PARTNER) -> bytes:
        """Send as the owner, logged in, from elsewhere; what arrives."""
        before = self.postfix.mails()
        with self.client(wrapped) as client:
            client.login(OWNER, PASSWORD)
            client.sendmail(OWNER, [to], mail)
        return self._arrived(before)

    def receive(self, mail: bytes, sender: str) -> EmailMessage:
        """Send to the owner, from elsewhere; what arrives."""
        before = self.postfix.mails()
        port = self.postfix.port
        with smtplib.SMTP("127.0.0.1", port, timeout=60, source_address=ELSEWHERE) as client:
            client.sendmail(sender, [OWNER], mail)
        return message_from_bytes(self._arrived(before), policy=policy.default)

    @contextmanager
    def client(self, wrapped: bool = False) -> Iterator[smtplib.SMTP]:
        """A mail client that has seen the certificate and has not logged in."""
        context = ssl.create_default_context(cafile=str(self.certificate.certificate))
        if wrapped:
            opened: smtplib.SMTP = smtplib.SMTP_SSL(
                "localhost",
                self.ports.submissions,
                timeout=60,
                context=context,
                source_address=ELSEWHERE,
            )
        else:
            opened = smtplib.SMTP(
                "localhost", self.ports.submission, timeout=60, source_address=ELSEWHERE
            )
        with opened:
            if not wrapped:
                opened.starttls(context=context)
            yield opened

    def _arrived(self, before: list[bytes]) -> bytes:
        after = self.postfix.wait_for_mails(len(before) + 1)
        (arrived,) = [mail for mail in after if mail not in before]
        return arrived


@contextmanager
def running_site(folder: Path, arrangement: str, behind: int = 0) -> Iterator[Site]:
    """All of it. ``behind``: another port for the next hop of outgoing mail than Postfix's."""
    ports = Ports(*(free_port() for _ in range(5)))
    certificate = make_certificate(folder, "localhost")
    main = _MAIN.format(key=certificate.key, certificate=certificate.certificate)
    master = _TLSMGR + ports.in_place((DEPLOY / "outgoing.master.cf").read_text())
    settings = _SETTINGS.format(
        arrangement=arrangement,
        folder=folder,
        outgoing=ports.outgoing,
        behind=behind or ports.behind,
        nobody=free_port(),
    )
    with (
        running_dovecot(OWNER, conf=_AUTH.format(port=ports.auth)),
        running_postfix(arrangement, more=(main, master)) as postfix,
        running_filter(
            folder,
            settings,
            *("--next-hop", f"127.0.0.1:{postfix.behind_port}"),
            port=postfix.filter_port,
        ) as judge,
    ):
        own = (ports.submission, ports.submissions, ports.behind)
        wait_until(lambda: all(map(listens, own)), "Postfix takes outgoing mail")
        yield Site(postfix, judge, ports, certificate)


@pytest.fixture(scope="module", params=["before-queue", "after-queue"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("filter"), request.param) as running:
        yield running


def pitch(sender: str, **fields: str) -> bytes:
    """The fake of the demo by another author, with a Message-ID of its own."""
    mail = message_from_bytes(PITCH.encode("utf-8"), policy=policy.SMTP)
    for name, value in {"From": sender, "Message-ID": make_msgid(), **fields}.items():
        del mail[name]
        mail[name] = value
    return mail.as_bytes()


def letter(**fields: str) -> bytes:
    """A mail of the owner's, CRLF lines."""
    header = {
        "From": OWNER,
        "To": PARTNER,
        "Subject": "Thursday",
        "Date": "Mon, 12 Jan 2026 09:00:00 +0100",
        "Message-ID": make_msgid(domain="example.net"),
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
    } | {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}:  {value}" for name, value in header.items() if value]
    text = "\r\n".join([*lines, "", "Bis Donnerstag, Grüße!", ".dot ", "\tTab", "x" * 900, "", ""])
    return text.encode()


def verdict(mail: EmailMessage) -> str:
    """The verdict with its reason, if it has one."""
    (found,) = mail.get_all("X-Coop-Verdict")
    words = str(found).split("; ")
    return "; ".join(words[:1] + [word for word in words if word.startswith("reason=")])


def own_header(mail: bytes) -> bytes:
    """What Postfix has put on top: the fields of delivery, and its Received."""
    match = re.match(
        rb"(?:(?:Return-Path|X-Original-To|Delivered-To|Received):.*\n(?:[ \t].*\n)*)*", mail
    )
    assert match
    return match[0]


@pytest.mark.parametrize("wrapped", [False, True], ids=["submission", "submissions"])
def test_submitted_mail_arrives_octet_for_octet(site: Site, wrapped: bool) -> None:
    sent = letter()
    arrived = site.submit(sent, wrapped)
    added = own_header(arrived)
    assert arrived[len(added) :] == sent.replace(b"\r\n", b"\n")
    assert len(re.findall(rb"^Received:", added, re.MULTILINE)) == 2  # in front, and behind
    assert b"X-Coop" not in arrived


def test_the_listener_behind_knows_the_client(site: Site) -> None:
    site.submit(letter())
    logged = r"postfix/outgoing/smtpd\[\d+\]: \w+: client=.*\[127\.0\.0\.2\]"
    assert re.search(logged, site.postfix.log), site.postfix.log


@pytest.mark.parametrize("wrapped", [False, True], ids=["submission", "submissions"])
def test_what_is_missing_in_the_header_is_added(site: Site, wrapped: bool) -> None:
    """As Postfix does for its own clients, and does not for mail that comes in."""
    sent = letter(Message_ID="", Date="")
    arrived = message_from_bytes(site.submit(sent, wrapped), policy=policy.default)
    assert arrived["Message-ID"].endswith("@mx.example.test>")
    assert arrived["Date"]
    incoming = site.receive(sent, STRANGER)
    assert incoming["Message-ID"] is None
    assert incoming["Date"] is None


@pytest.mark.parametrize("wrapped", [False, True], ids=["submission", "submissions"])
def test_who_has_not_logged_in_sends_nothing(site: Site, wrapped: bool) -> None:
    for recipient in (PARTNER, OWNER, "anybody@elsewhere.example"):
        with site.client(wrapped) as client:
            client.ehlo()
            assert client.mail(OWNER)[0] == 250  # it is refused with the recipient
            assert client.rcpt(recipient)[0] == 554


def test_the_listener_behind_is_on_loopback_only(site: Site) -> None:
    for port in (site.ports.behind, site.ports.outgoing):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)


def test_a_pitch_of_a_known_correspondent_is_unsure(site: Site) -> None:
    friend, stranger = "ann@partner.example", "ann@stranger.example"
    assert verdict(site.receive(pitch(friend), friend)) == "fake"
    site.submit(letter(), to=friend)
    assert verdict(site.receive(pitch(friend), friend)) == "unsure; reason=known-correspondent"
    assert verdict(site.receive(pitch(stranger), stranger)) == "fake"


def test_a_follow_up_of_a_fake_is_one(site: Site) -> None:
    """With no word of a pitch in it. Of somebody else the same words are judged as they are."""
    first = pitch(STRANGER)
    message_id = message_from_bytes(first)["Message-ID"]
    assert verdict(site.receive(first, STRANGER)) == "fake"
    for sender, expected in ((STRANGER, ["fake; reason=thread"]), (PARTNER, ["none", "unsure"])):
        mail = EmailMessage(policy=policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = sender, OWNER, "Re: Thursday"
        mail["Message-ID"], mail["In-Reply-To"] = make_msgid(), message_id
        mail.set_content(CHASER)
        assert verdict(site.receive(mail.as_bytes(), sender)) in expected


def test_what_could_not_go_out_teaches_nothing(tmp_path: Path) -> None:
    """The next hop of outgoing mail is down: the mail client keeps the mail."""
    with running_site(tmp_path, "before-queue", behind=free_port()) as site:
        with site.client() as client:
            client.login(OWNER, PASSWORD)
            with pytest.raises(smtplib.SMTPResponseException) as refused:
                client.sendmail(OWNER, [PARTNER], letter())
        assert refused.value.smtp_code == 451
        assert site.postfix.mails() == []
        assert verdict(site.receive(pitch(PARTNER), PARTNER)) == "fake"

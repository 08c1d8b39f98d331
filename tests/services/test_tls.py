"""TLS on both sides: one filter hands on to another one through STARTTLS.

The filter behind, with a Maildir, is the next hop of the one in front; both are real processes.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.certificate import Certificate, make_certificate
from harness.filter import RunningFilter, running_filter
from harness.ports import wait_until

MAIL = "Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"
NAME = "filter.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"), NAME)


def server_side(certificate: Certificate, required: bool = True) -> str:
    return (
        f'[tls]\ncertificate = "{certificate.certificate}"\nkey = "{certificate.key}"\n'
        f"required = {str(required).lower()}\n"
    )


def client_side(ca: Path, name: str = NAME) -> str:
    return f'[tls]\nnext_hop = "required"\nnext_hop_ca = "{ca}"\nnext_hop_name = "{name}"\n'


@contextmanager
def chain(folder: Path, front: str, behind: str) -> Iterator[tuple[RunningFilter, RunningFilter]]:
    """A filter in front of another one, with the settings given."""
    (folder / "front").mkdir()
    (folder / "behind").mkdir()
    with (
        running_filter(folder / "behind", behind) as last,
        running_filter(folder / "front", front, "--next-hop", f"127.0.0.1:{last.port}") as first,
    ):
        yield first, last


def send(port: int, context: ssl.SSLContext | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        if context:
            client._host = NAME  # what smtplib checks the certificate against
            client.starttls(context=context)
        client.sendmail("a@example.org", ["b@example.net"], MAIL)


def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.certificate))


def test_a_sender_uses_starttls(tmp_path: Path, certificate: Certificate) -> None:
    with running_filter(tmp_path, server_side(certificate)) as running:
        send(running.port, trusting(certificate))
        assert len(running.mails()) == 1


def test_plain_text_is_refused_where_tls_is_required(
    tmp_path: Path, certificate: Certificate
) -> None:
    with running_filter(tmp_path, server_side(certificate)) as running:
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            send(running.port)
        assert refused.value.smtp_code == 530
        assert running.mails() == []


def test_plain_text_is_taken_where_tls_is_offered(tmp_path: Path, certificate: Certificate) -> None:
    with running_filter(tmp_path, server_side(certificate, required=False)) as running:
        send(running.port)
        assert len(running.mails()) == 1


def test_what_was_said_before_tls_is_forgotten(tmp_path: Path, certificate: Certificate) -> None:
    """RFC 3207 4.2: after STARTTLS the client begins anew with EHLO."""
    with (
        running_filter(tmp_path, server_side(certificate)) as running,
        smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client,
    ):
        client._host = NAME
        client.starttls(context=trusting(certificate))
        assert client.docmd("MAIL FROM:<a@example.org>")[0] == 503
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        assert client.docmd("STARTTLS")[0] == 502


def test_commands_sent_ahead_of_tls_are_not_taken(tmp_path: Path, certificate: Certificate) -> None:
    """An attacker's plain text behind STARTTLS must not count as the client's."""
    with running_filter(tmp_path, server_side(certificate)) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as client:
            client.sendall(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
            said = b""
            while octets := client.recv(4096):
                said += octets
        assert b"421 4.7.0" in said
        wait_until(lambda: "smuggle" in running.log, "a loud line")


def test_mail_goes_on_through_tls(tmp_path: Path, certificate: Certificate) -> None:
    front = client_side(certificate.certificate)
    with chain(tmp_path, front, server_side(certificate)) as (first, last):
        send(first.port)
        assert len(last.mails()) == 1


@pytest.mark.parametrize("fault", ["no tls", "wrong name", "unknown authority"])
def test_a_next_hop_that_cannot_be_trusted_gets_nothing(
    tmp_path: Path, certificate: Certificate, fault: str
) -> None:
    behind = "" if fault == "no tls" else server_side(certificate)
    name = "other.example" if fault == "wrong name" else NAME
    ca = certificate.certificate
    if fault == "unknown authority":
        ca = make_certificate(tmp_path, "stranger.example").certificate
    with chain(tmp_path, client_side(ca, name), behind) as (first, last):
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            send(first.port)
        assert refused.value.smtp_code == 451
        assert last.mails() == []
        assert "Traceback" not in first.log

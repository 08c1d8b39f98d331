"""Whom an outgoing mail makes known: who is in the envelope, if a person wrote it."""

from __future__ import annotations

import pytest

from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.trust.correspondents import MOST, recipients

HEAD = b"From: owner@example.net\r\nTo: liar@example.com\r\nSubject: Hello\r\n"


def envelope(*to: str, sender: str = "owner@example.net") -> Envelope:
    return Envelope(
        Address(f"<{sender}>".encode(), b""), [Address(f"<{who}>".encode(), b"") for who in to]
    )


def learned(*to: str, more: bytes = b"", sender: str = "owner@example.net") -> list[str]:
    return recipients(HEAD + more + b"\r\nList-Id: body\r\n", envelope(*to, sender=sender))


def test_the_envelope_counts_and_not_the_header() -> None:
    assert learned("Anna@Example.ORG", "bcc@example.com") == ["anna@example.org", "bcc@example.com"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("@a,@b:anna@example.org", "anna@example.org"),
        ('"anna"@example.org', "anna@example.org"),
        ("jü@bücher.example", "jü@xn--bcher-kva.example"),
    ],
)
def test_spellings_of_one_address(written: str, kept: str) -> None:
    assert learned(written) == [kept]


def test_nobody_is_learned_at_ones_own_domain() -> None:
    """It is the one that a stranger forges first."""
    assert learned("colleague@Example.NET", "anna@example.org") == ["anna@example.org"]


def test_what_is_no_mailbox_is_left_out() -> None:
    assert learned("postmaster", "anna@example.org", "a@b@", "x@-y.example") == ["anna@example.org"]


def test_octets_that_are_no_text() -> None:
    odd = Envelope(Address(b"<owner@example.net>", b""), [Address(b"<\xff\xfe@example.org>", b"")])
    assert recipients(HEAD + b"\r\n", odd) == ["\\xff\\xfe@example.org"]


def test_of_a_mail_to_many_the_first() -> None:
    many = [f"{number}@example.org" for number in range(MOST + 50)]
    assert learned(*many) == many[:MOST]


@pytest.mark.parametrize(
    "field",
    [
        b"Auto-Submitted: auto-replied\r\n",
        b"auto-submitted : Auto-Generated; x=y\r\n",
        b"Auto-Submitted:\r\n",
        b"Precedence: bulk\r\n",
        b"Precedence: LIST\r\n",
        b"List-Id: <a.example.net>\r\n",
        b"List-Unsubscribe: <https://example.net>\r\n",
        b"Content-Type: multipart/report; report-type=disposition-notification\r\n",
    ],
)
def test_machines_and_lists_teach_nothing(field: bytes) -> None:
    assert learned("anna@example.org", more=field) == []


def test_the_null_sender_teaches_nothing() -> None:
    assert learned("anna@example.org", sender="") == []


@pytest.mark.parametrize(
    "field",
    [
        b"Auto-Submitted: no\r\n",
        b"Auto-Submitted: No; x=y\r\n",
        b"Precedence: first-class\r\n",
        b"Content-Type: multipart/mixed; boundary=multipart/report\r\n",
    ],
)
def test_people_do(field: bytes) -> None:
    assert learned("anna@example.org", more=field) == ["anna@example.org"]

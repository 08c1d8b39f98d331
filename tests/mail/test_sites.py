"""Whose sites a mail comes from and goes to: by addresses, whatever the names beside them say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.mail.sites import read_sites, site
from milter.mail.text import read_text


@pytest.mark.parametrize(
    ("domain", "registered"),
    [
        ("example.com", "example.com"),
        ("mail.news.example.com", "example.com"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("example.com.au", "example.com.au"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
    ],
)
def test_the_part_that_somebody_registered(domain: str, registered: str) -> None:
    assert site(domain) == registered


@pytest.mark.parametrize(
    ("value", "senders"),
    [
        (b"a@Example.COM", ("example.com",)),
        (b"Ann <ann@mail.example.co.uk>", ("example.co.uk",)),
        (b"ann.links+1@Gmail.com", ("ann.links+1@gmail.com",)),
        (b"ann@mail.ru", ("ann@mail.ru",)),
        (b"<ann@gmx.de>, <bob@blumenkiste.example>", ("ann@gmx.de", "blumenkiste.example")),
        # Names and comments are what anybody writes.
        (b'"pay@bank.example" <ann@example.com>', ("example.com",)),
        (b"pay@bank.example <ann@example.com>", ("example.com",)),
        (b"ann@example.com (of bank@bank.example)", ("example.com",)),
        # The site that it goes to, as when a form sends what a visitor wrote.
        (b"wordpress@www.gartenfreunde.example", ()),
        (b"nobody", ()),
        (b"", ()),
        (b'"<"<@>(@', ()),
    ],
)
def test_who_has_sent_it(value: bytes, senders: tuple[str, ...]) -> None:
    recipient = (b"to", b"Info <info@gartenfreunde.example>")
    assert read_sites([(b"from", value), recipient]).senders == senders
    assert read_sites([recipient, (b"reply-to", value)]).senders == senders


def test_a_recipient_at_a_provider_hides_no_sender_there() -> None:
    fields = [(b"from", b"ann@gmail.com"), (b"to", b"bob@gmail.com")]
    assert read_sites(fields).senders == ("ann@gmail.com",)


def test_names_of_sites_are_those_of_both_sides() -> None:
    mail = read_text(
        b"From: a@shop.blumenkiste.example\r\nReply-To: b@gmail.com\r\n"
        b"To: c@www.gartenfreunde.co.uk\r\n\r\nHello\r\n"
    )
    assert mail.own_sites == ("blumenkiste",)
    assert mail.their_sites == ("gartenfreunde",)
    assert mail.senders == ("b@gmail.com", "blumenkiste.example")


def test_a_thousand_senders_are_some() -> None:
    value = b", ".join(b"a@s%d.example" % number for number in range(1000))
    assert 1 < len(read_sites([(b"from", value)]).senders) < 10


@given(st.lists(st.tuples(st.sampled_from([b"from", b"to", b"reply-to"]), st.binary(max_size=80))))
def test_any_octets_are_read(fields: list[tuple[bytes, bytes]]) -> None:
    for name in read_sites(fields).senders:
        assert name
        assert not any(space in name for space in " \r\n\t<>")

"""Whose sites a mail comes from and goes to: by addresses, whatever the names beside them say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.mail.sites import read_sites, sender_of, site
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
    ("value", "sender"),
    [
        (b"a@Example.COM", "example.com"),
        (b"Ann <ann@mail.example.co.uk>", "example.co.uk"),
        (b"ann@mail.ru", "ann@mail.ru"),
        # One mailbox in other spellings.
        (b"Ann.Links+17@Gmail.com", "annlinks@gmail.com"),
        (b"annlinks@googlemail.com", "annlinks@gmail.com"),
        (b"ann.links+2@gmx.de", "ann.links@gmx.de"),
        # Names and comments are what anybody writes.
        (b'"pay@bank.example" <ann@example.com>', "example.com"),
        (b"pay@bank.example <ann@example.com>", "example.com"),
        (b"ann@example.com (of (the) <bank@bank.example>)", "example.com"),
        # What could be read in two ways is nobody's.
        (b"ann@example.com, <v@victim.example>", ""),
        (b'"v@victim.example ' + b"a" * 2000 + b'" <ann@example.com>', ""),
        (b"<@victim.example:ann@example.com>", ""),
        (b"ann@[192.0.2.1]", ""),
        (b"nobody", ""),
        (b"", ""),
        (b'"<"<@>(@', ""),
    ],
)
def test_who_has_sent_it(value: bytes, sender: str) -> None:
    assert read_sites([(b"from", value)]).sender == sender
    assert read_sites([(b"from", b"x@other.example"), (b"reply-to", value)]).sender == sender


def test_two_fields_are_nobodys() -> None:
    twice = [(b"from", b"a@one.example"), (b"from", b"a@two.example")]
    assert read_sites(twice).sender == ""
    assert read_sites([*twice, (b"reply-to", b"a@three.example")]).sender == "three.example"


@pytest.mark.parametrize("to", [b"a@spam.example", b'"a@spam.example" <me@mine.example>'])
def test_nobody_hides_behind_a_recipient(to: bytes) -> None:
    assert read_sites([(b"from", b"a@spam.example"), (b"to", to)]).sender == "spam.example"


def test_names_of_sites_are_those_of_both_sides() -> None:
    mail = read_text(
        b"From: a@shop.blumenkiste.example\r\nReply-To: b@gmail.com\r\n"
        b"To: c@www.gartenfreunde.co.uk\r\n\r\nHello\r\n"
    )
    assert mail.own_sites == ("blumenkiste",)
    assert mail.their_sites == ("gartenfreunde",)
    assert mail.sender == "b@gmail.com"


@given(st.lists(st.tuples(st.sampled_from([b"from", b"to", b"reply-to"]), st.binary(max_size=80))))
def test_any_octets_are_read(fields: list[tuple[bytes, bytes]]) -> None:
    sender = read_sites(fields).sender
    assert not any(space in sender for space in " \r\n\t<>")


@given(st.emails())
def test_a_mailbox_is_told_by_something_that_tells_it_again(mailbox: str) -> None:
    sender = sender_of(mailbox.lower())
    assert sender
    assert sender_of(sender if "@" in sender else f"a@{sender}") == sender

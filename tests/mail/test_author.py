"""Whose mail it is: one mailbox, or nobody's; never one out of a display name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.mail.author import ascii_domain, author, normalised

PLAIN = {
    "bare": (b"anna@example.org", "anna@example.org"),
    "in brackets": (b"<anna@example.org>", "anna@example.org"),
    "with a name": (b"Anna Maria <anna@example.org>", "anna@example.org"),
    "capitals": (b"Anna.M@EXAMPLE.Org", "anna.m@example.org"),
    "blanks within brackets": (b"Anna < anna@example.org >", "anna@example.org"),
    "folded": (b"Anna\r\n\t<anna@example.org>", "anna@example.org"),
    "final dot": (b"anna@example.org.", "anna@example.org"),
    "encoded name": (b"=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "j@example.org"),
    "8-bit name": (b"J\xfcrgen <j@example.org>", "j@example.org"),
    "utf-8 name": ("Jürgen <j@example.org>".encode(), "j@example.org"),
    "utf-8 address": ("jü@straße.example".encode(), "jü@xn--strae-oqa.example"),
    "composed otherwise": ("ju\u0308@u\u0308.example".encode(), "jü@xn--tda.example"),
    "comment behind": (b"anna@example.org (Anna (M.) \\) Maria)", "anna@example.org"),
    "comment before": (b"(boss@example.com) anna@example.org", "anna@example.org"),
    "quotes without need": (b'"anna"@example.org', "anna@example.org"),
    "quotes with need": (b'"anna maria"@example.org', '"anna maria"@example.org'),
    "at in quotes": (b'"boss@example.com"@example.org', '"boss@example.com"@example.org'),
    "literal": (b"anna@[192.0.2.1]", "anna@[192.0.2.1]"),
    "apostrophe and plus": (b"o'hara+x@example.org", "o'hara+x@example.org"),
}
DISGUISED = {
    "address as a name": (b'"boss@example.com" <evil@example.net>', "evil@example.net"),
    "without quotes": (b"boss@example.com <evil@example.net>", "evil@example.net"),
    "encoded": (b"=?utf-8?q?boss=40example.com?= <evil@example.net>", "evil@example.net"),
    "quoted bracket": (b'"<boss@example.com>" <evil@example.net>', "evil@example.net"),
    "quote in quotes": (b'"a\\" <boss@example.com>" <evil@example.net>', "evil@example.net"),
    "in a comment": (b"evil@example.net (boss@example.com)", "evil@example.net"),
}
NOBODY = {
    "empty": b"",
    "no address": b"Anna",
    "null": b"<>",
    "two": b"anna@example.org, boss@example.com",
    "two in brackets": b"A <anna@example.org>, B <boss@example.com>",
    "two pairs of brackets": b"<anna@example.org> <boss@example.com>",
    "brackets and more": b"<anna@example.org> boss@example.com",
    "comma in a bare name": b"Miller, Anna <anna@example.org>",
    "group": b"Staff: anna@example.org;",
    "empty group": b"Undisclosed:;",
    "route": b"<@example.com,@example.net:anna@example.org>",
    "open bracket": b"Anna <anna@example.org",
    "closed bracket": b"anna@example.org>",
    "open quote": b'"Anna <anna@example.org>',
    "open comment": b"anna@example.org (Anna",
    "blank before the at": b"anna @example.org",
    "comment before the at": b"anna(x)@example.org",
    "two ats": b"anna@example.com@example.org",
    "no local part": b"@example.org",
    "no domain": b"anna@",
    "empty label": b"anna@example..org",
    "blank in the domain": b"anna@example.org example.com",
    "NUL": b"anna@example.org\x00.example.com",
    "NUL in a name": b"A\x00 <anna@example.org>",
    "bare CR": b"anna@example.org\r<boss@example.com>",
    "backslash": b"anna\\@example.com@example.org",
    "encoded word as local part": b"=?utf-8?q?boss=40example.com=3E?=@example.net",
    "8-bit address": b"j\xfc@example.org",
    "8-bit domain": b"j@ex\xe4mple.org",
    "underscore alone is fine, slash is not": b"anna@exa/mple.org",
    "homoglyph of a dot": "anna@example\u3002org\u2024x".encode(),
    "broken literal": b"anna@[192.0.2.1",
    "too long": b'"' + b"a" * 2000 + b'" <anna@example.org>',
    "domain too long": b"anna@" + b"a." * 127 + b"org",
}


def mail(value: bytes) -> bytes:
    return b"Subject: x\r\nFrom: " + value + b"\r\nTo: y@example.net\r\n\r\nFrom: z@example.com\r\n"


@pytest.mark.parametrize("case", PLAIN | DISGUISED)
def test_the_one_mailbox(case: str) -> None:
    value, expected = (PLAIN | DISGUISED)[case]
    assert author(mail(value)) == expected


@pytest.mark.parametrize("case", NOBODY)
def test_nobody(case: str) -> None:
    assert author(mail(NOBODY[case])) is None


HEADERS = {
    "no From": b"Subject: x\r\n\r\n",
    "two": b"From: a@example.org\r\nFrom: a@example.org\r\n\r\n",
    "two spellings": b"From: a@example.org\r\nFROM \t: b@example.org\r\n\r\n",
    "folded before the colon": b"From: a@example.org\r\nFrom\r\n : b@example.org\r\n\r\n",
    "control in the name": b"From: a@example.org\r\nFrom\x0b: b@example.org\r\n\r\n",
    "8-bit in the name": b"From: a@example.org\r\nFrom\xa0: b@example.org\r\n\r\n",
    "behind a line that is no field": b"From: a@example.org\r\nx\r\nFrom: b@example.org\r\n\r\n",
    "only behind such a line": b"X: y\r\nno field\r\nFrom: a@example.org\r\n\r\n",
    "in the body": b"X: y\r\n\r\nFrom: a@example.org\r\n",
    "no header": b"\r\nFrom: a@example.org\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("case", HEADERS)
def test_there_must_be_one_field(case: str) -> None:
    assert author(HEADERS[case]) is None


@pytest.mark.parametrize(
    "head",
    [
        b"From boss@example.com Mon Nov 23 10:00:00 2026\r\nFrom: a@example.org\r\n\r\n",
        b"from:a@example.org\r\n\r\n",
        b"From : a@example.org\r\nReply-To: b@example.com\r\nSender: c@example.com\r\n\r\n",
        b"From: a@example.org\r\n",
        b"Resent-From: b@example.com\r\nFrom: a@example.org\r\n\r\n",
    ],
)
def test_other_lines_do_not_count(head: bytes) -> None:
    assert author(head) == "a@example.org"


@pytest.mark.parametrize(
    ("mailbox", "expected"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ('"anna"@example.org', "anna@example.org"),
        ("jü@BÜCHER.example", "jü@xn--bcher-kva.example"),
        ("", None),
        ("postmaster", None),
        ("a@-x.example", None),
        ("a" * 400 + "@example.org", None),
    ],
)
def test_an_address_from_the_envelope_is_written_alike(mailbox: str, expected: str | None) -> None:
    assert normalised(mailbox) == expected


def test_a_domain_is_no_other_one() -> None:
    assert ascii_domain("straße.example") != ascii_domain("strasse.example")
    assert ascii_domain("BÜCHER.example") == ascii_domain("bücher.example")
    assert not ascii_domain("exa\u202emple.org")


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("bu\u0308cher.example", "xn--bcher-kva.example"),  # composed otherwise
        ("ＢÜＣＨＥＲ．example", "xn--bcher-kva.example"),  # of full width
        ("bücher。example", "xn--bcher-kva.example"),  # the full stop of Chinese and Japanese
        ("STRAẞE.example", "xn--strae-oqa.example"),
        ("_a.büro.example.", "_a.xn--bro-hoa.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("xn--bcher-kva.EXAMPLE", "xn--bcher-kva.example"),
        ("\u212ain.example", "kin.example"),  # the sign for kelvin
        ("☃.example", ""),  # a picture: RFC 5892 has letters and digits only
        ("ü_b.example", ""),
        ("-ü.example", ""),
        ("xn--ü.example", ""),
        ("a\u200dü.example", ""),  # a joiner that joins nothing
        ("אa.example", ""),  # written from both sides (RFC 5893)
        ("ü..example", ""),
        ("ü" * 64 + ".example", ""),
        ("a\udcff.example", ""),
        ("\ufffd.example", ""),
    ],
)
def test_domains_in_other_scripts(domain: str, expected: str) -> None:
    assert ascii_domain(domain) == expected


# Octets that mean something in an address, and any others.
OCTETS = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.sampled_from(
            [*b'<>@,;:()"\\[]. \t\r\n\x00\xff', b"a", b"boss@example.com", b"=?utf-8?q?a?="]
        ),
        max_size=30,
    ).map(lambda parts: b"".join(p if isinstance(p, bytes) else bytes([p]) for p in parts)),
)


@given(OCTETS)
def test_any_octets_are_somebody_or_nobody(octets: bytes) -> None:
    found = author(mail(octets))
    assert found is None or re.fullmatch(r'[^@]+@[^@]+|".*"@[^@]+', found, re.DOTALL)


@given(st.text(max_size=60))
def test_a_display_name_is_never_the_author(name: str) -> None:
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    assert author(mail(f"{quoted} <evil@example.net>".encode("utf-8", "replace"))) in (
        "evil@example.net",
        None,
    )

"""The letter: what it says, and that nothing of the held mails does anything in it."""

from __future__ import annotations

import re
import time
import unicodedata
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter.digest.letter import Entry, Letter, compose, shown

NOW = 1_800_000_000.0
PAGE = "https://mail.example.org/review"
HOSTILE = [
    "x\r\nBcc: victim@example.com\r\n\r\nbody",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</a></li></ul><form action=https://evil.example><input name=p>",
    "\u202egpj.exe",
    "\u2066\u2067a\u2069",
    "a\x00b\x07c\x1b[31md\x9bm",
    "\u2028\u2029next line",
    "see https://evil.example/login?a=1 now",
    "www.evil.example",
    "javascript://evil.example/%0aalert(1)",
    "evil.example",
    "a.b.evil.example/path",
    "\ud800 lone",
    "z" + "\u0301" * 500,
    "=?utf-8?b?PHNjcmlwdD4=?=",
    "{{ 7 * 7 }} %s %(x)s {0}",
    "--=_abc123\r\nContent-Type: text/html",
    "a" * 1_000_000,
    "&lt;b&gt;",
    "",
]


def entry(
    subject: str = "Kooperation", author: str = "Max <max@example.com>", link: str = "T"
) -> Entry:
    return Entry(NOW - 3600, author, subject, "fake", 0.974, f"{PAGE}/link/{link}")


def letter(*entries: Entry, more: int = 0) -> Letter:
    return Letter("anna@example.org", "coop@example.org", entries, more, PAGE, 7, 30)


def parsed(composed: Letter) -> EmailMessage:
    """The mail as a mail program reads it, strictly."""
    octets = compose(composed, NOW, "abc123")
    lines = octets.split(b"\r\n")
    assert b"\n" not in b"".join(lines)
    assert max(map(len, lines)) <= 998  # RFC 5322 2.1.1
    mail = message_from_bytes(octets, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    assert [part.defects for part in mail.walk()] == [[], [], []]
    return mail


def texts(composed: Letter) -> tuple[str, str]:
    """The plain text and the HTML."""
    plain, page = parsed(composed).iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(page, EmailMessage)
    assert (plain.get_content_type(), page.get_content_type()) == ("text/plain", "text/html")
    contents = (plain.get_content(), page.get_content())
    return contents[0].replace("\r\n", "\n"), contents[1].replace("\r\n", "\n")


class Reader(HTMLParser):
    """Collects what a page does, and what it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        self.text += data


def test_its_header() -> None:
    mail = parsed(letter(entry(), entry()))
    assert mail["From"] == "coop-verdict <coop@example.org>"
    assert mail["To"] == "anna@example.org"
    assert mail["Subject"] == "2 Mails zurückgehalten / 2 mails held back"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == "<abc123@example.org>"
    assert mail["Date"].datetime.timestamp() == NOW
    assert parsed(letter(entry()))["Subject"].startswith("1 Mail zurückgehalten")
    assert sorted(set(mail.keys())) == sorted(
        "From To Subject Date Message-ID Auto-Submitted MIME-Version Content-Type".split()
    )


def test_both_forms_say_the_same() -> None:
    for text in texts(letter(entry(link="T1"), entry("Zweite", link="T2"), more=7)):
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(NOW - 3600))
        for told in (when, "Kooperation", "Zweite", "Max", "fake, score 0.97", "und 7 weitere"):
            assert told in text
        for link in (f"{PAGE}/link/T1", f"{PAGE}/link/T2"):
            assert text.count(link) == 1
        assert "7 Tage" in text
        assert "30 days" in text


def test_a_mail_without_subject_or_score() -> None:
    plain, _ = texts(letter(Entry(NOW, "a@example.org", " \t", "fake", None, PAGE)))
    assert "(ohne Betreff / no subject)" in plain
    assert "  fake\n" in plain


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_nothing_of_a_mail_acts(text: str) -> None:
    """Neither in header, text nor page, in whichever place it stands."""
    hostile = letter(entry(subject=text), entry(author=text), entry(text, text))
    mail = parsed(hostile)
    assert len(mail.keys()) == 8
    plain, page = texts(hostile)
    for shown_text in (plain, page):
        assert len(shown_text) < 6000
        bad = {c for c in shown_text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")}
        assert bad <= {"\n", "\r"}
        links = re.findall(r"[\w+.-]+://[^\s\"<]*", shown_text)
        assert all(link.startswith(PAGE) for link in links)
    reader = Reader(page)
    assert set(reader.tags) == set("html head meta body p ul li br b bdi a".split())
    assert {name for name, _ in reader.attributes} == {"charset", "href"}
    targets = {value for name, value in reader.attributes if name == "href"}
    assert targets == {PAGE, f"{PAGE}/link/T"}
    assert len(plain.splitlines()) == len(texts(letter(entry(), entry(), entry()))[0].splitlines())


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=300))
def test_shown_is_a_short_line_of_plain_characters(text: str) -> None:
    line = shown(text, 80)
    assert len(line) <= 80
    assert len(line.splitlines()) <= 1
    assert not re.search(r"\w://", line)
    assert not {unicodedata.category(c) for c in line} & {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Zusammenarbeit mit Ihrer Seite?", "Zusammenarbeit mit Ihrer Seite?"),
        ("Jürgen  Groß <juergen.gross@example.org>", "Jürgen Groß <juergen.gross@example.org>"),
        ("Version 2.0, z.B. am 3.5.", "Version 2.0, z.B. am 3.5."),
        ("shop.example", "shop[.]example"),
        ("Link auf www.shop.example/x", "Link auf www[.]shop[.]example/x"),
        ("https://a@shop.example/", "https[:]//a@shop.example/"),
        ("日本語の件名", "日本語の件名"),
        ("שלום", "שלום"),
    ],
)
def test_how_texts_are_shown(text: str, wanted: str) -> None:
    assert shown(text, 80) == wanted


def test_a_long_text_is_cut() -> None:
    assert shown("abc " * 50, 10) == "abc abc a…"

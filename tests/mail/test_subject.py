"""A prefix before the subject: a line of its own, and no other octet of the mail changes."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milter.mail.header import with_subject_prefix
from milter.spam.action import subject_prefix

PREFIX = b"[Fake?]"


def subject(content: bytes) -> str:
    return str(BytesParser(policy=policy.default).parsebytes(content)["Subject"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: Hello\r\n", b"Subject: [Fake?]\r\n Hello\r\n"),
        (b"Subject:Hello\r\n", b"Subject: [Fake?]\r\n Hello\r\n"),
        (b"SUBJECT:\tHello\r\n", b"SUBJECT: [Fake?]\r\n\tHello\r\n"),
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n", None),
        (b"Subject:\r\n Hello\r\n", b"Subject: [Fake?]\r\n Hello\r\n"),
        (b"Subject: one\r\n two\r\n", b"Subject: [Fake?]\r\n one\r\n two\r\n"),
        (b"Subject:\r\n", b"Subject: [Fake?]\r\n"),
        (b"Subject: \r\n", b"Subject: [Fake?] \r\n"),
        (b"Subject: [Fake?] Hello\r\n", b"Subject: [Fake?] Hello\r\n"),
        (b"Subject: [Fake?]\r\n Hello\r\n", b"Subject: [Fake?]\r\n Hello\r\n"),
        (b"X-Subject: no\r\n", b"Subject: [Fake?]\r\nX-Subject: no\r\n"),
        (b"", b"Subject: [Fake?]\r\n"),
    ],
)
def test_the_prefix_and_nothing_else(before: bytes, after: bytes | None) -> None:
    rest = b"To: b@example.net\r\n\r\nSubject: in the body\r\n"
    changed = with_subject_prefix(b"From: a@example.org\r\n" + before + rest, PREFIX)
    if before and after and not after.startswith(b"Subject: [Fake?]\r\nX-"):
        assert changed == b"From: a@example.org\r\n" + after + rest
    assert subject(changed).startswith("[Fake?]")
    assert changed.endswith(rest)
    assert with_subject_prefix(changed, PREFIX) == changed


def test_what_stood_there_reads_as_before() -> None:
    mail = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle\r\n\r\n"
    assert subject(with_subject_prefix(mail, PREFIX)) == "[Fake?] Grüße an alle"


def test_a_blank_before_the_colon() -> None:
    """Servers take it for the field; Python's email does not."""
    mail = with_subject_prefix(b"Subject : Hello\r\n\r\n", PREFIX)
    assert mail == b"Subject : [Fake?]\r\n Hello\r\n\r\n"


def test_of_two_subjects_the_first() -> None:
    mail = with_subject_prefix(b"Subject: one\r\nSubject: two\r\n\r\n", PREFIX)
    assert mail == b"Subject: [Fake?]\r\n one\r\nSubject: two\r\n\r\n"


@given(st.text(max_size=60))
def test_whatever_the_settings_say_is_one_line_of_ascii(text: str) -> None:
    prefix = subject_prefix(text)
    assert prefix.isascii()
    assert not set(b"\r\n\0") & set(prefix)


def test_a_prefix_that_is_no_ascii() -> None:
    mail = with_subject_prefix(b"Subject: Hallo\r\n\r\n", subject_prefix("[Fälschung?] "))
    assert subject(mail) == "[Fälschung?] Hallo"


def test_two_encoded_words_do_not_become_one() -> None:
    """What stands between two of them is not shown (RFC 2047 section 6.2)."""
    mail = b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"
    changed = with_subject_prefix(mail, subject_prefix("[Fälschung?]"))
    assert subject(changed) == "[Fälschung?] Grüße"

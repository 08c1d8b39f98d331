"""The header fields: ASCII, folded, and nothing from a mail can break out of them."""

from __future__ import annotations

from email import policy
from email.header import decode_header, make_header
from email.parser import BytesParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter.spam.action import header_fields
from milter.spam.terms import ASKS, OFFERS
from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored

SCORE = Score(fake=0.974, genuine=0.02, none=0.006)
HOSTILE = [
    "two\r\nX-Coop-Verdict: genuine",
    "\r\n\r\nbody",
    "bare\rcr and\nlf",
    "=?utf-8?q?smuggled?=",
    "?=",
    "comma, bracket (+9.9)",
    'quote " and \\ and <angle>; semicolon',
    "\0\x1b[31m\x7f",
    "kostenfreie Verlinkung für Sie",
    "リンク交換のお願いリンク交換のお願いリンク交換のお願い",
    "\ud800 lone surrogate",
    "a" * 500,
    "ü" * 500,
    "\u2028\x85\x0b\x0c",
]


def judgement(*clues: tuple[str, float]) -> Judgement:
    return Judgement(
        Verdict.FAKE,
        "2026.11.23-3f2a91c",
        score=SCORE,
        asks=("link", "publication"),
        offers=("exposure", "free-content"),
        clues=clues,
    )


def assert_wire_form(field: bytes) -> None:
    """ASCII, CRLF at the end of each line, folded at 78 where there is a blank to fold at."""
    assert field.isascii()
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert not any(octet in line for line in lines for octet in (b"\r", b"\n", b"\0"))
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])
    assert all(len(line) <= 78 or b" " not in line.strip() for line in lines)
    assert all(len(line) <= 998 for line in lines)


def parsed(fields: list[bytes], name: str) -> str:
    """The value as Python's ``email`` reads it, encoded words as they are."""
    mail = BytesParser(policy=policy.compat32).parsebytes(
        b"".join(fields) + b"To: x\r\n\r\nbody\r\n"
    )
    assert mail.keys()[-1] == "To"
    assert len(mail.keys()) == len(fields) + 1
    assert mail.get_payload() == "body\r\n"
    return "".join(mail[name].splitlines())


def test_as_in_the_contract() -> None:
    assert header_fields(judgement(("kostenfreie verlinkung", 2.14), ("link", -1.0))) == [
        b"X-Coop-Verdict: fake; score=0.97; asks=link,publication;\r\n"
        b" offers=exposure,free-content; model=2026.11.23-3f2a91c\r\n",
        b"X-Coop-Clues: kostenfreie verlinkung (+2.1), link (-1.0)\r\n",
    ]


@pytest.mark.parametrize("reason", Reason)
def test_unscored(reason: Reason) -> None:
    assert header_fields(unscored(reason, "m")) == [
        f"X-Coop-Verdict: unscored; reason={reason}; model=m\r\n".encode()
    ]


def test_clues_can_be_switched_off() -> None:
    assert len(header_fields(judgement(("link", 1.0)), clues=False)) == 1


def test_all_asks_and_offers_fold() -> None:
    full = Judgement(Verdict.FAKE, "m" * 40, score=SCORE, asks=ASKS, offers=OFFERS)
    (field,) = header_fields(full)
    assert_wire_form(field)
    value = parsed([field], "X-Coop-Verdict")
    assert value.split("; ") == [
        "fake",
        "score=0.97",
        "asks=" + ",".join(ASKS),
        "offers=" + ",".join(OFFERS),
        "model=" + "m" * 40,
    ]


@pytest.mark.parametrize("clue", HOSTILE)
def test_hostile_clues(clue: str) -> None:
    fields = header_fields(judgement(("plain", 1.0), (clue, 1.4), ("behind", -0.5)))
    for field in fields:
        assert_wire_form(field)
    value = parsed(fields, "X-Coop-Clues")
    first, middle, last = value.split(", ")
    assert (first, last) == ("plain (+1.0)", "behind (-0.5)")
    text = str(make_header(decode_header(middle.removesuffix(" (+1.4)"))))
    assert text == clue[:60].encode("utf-8", "replace").decode("utf-8")


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.tuples(st.text(max_size=80), st.floats(-99, 99)), max_size=6))
def test_any_clues(clues: list[tuple[str, float]]) -> None:
    fields = header_fields(judgement(*clues))
    for field in fields:
        assert_wire_form(field)
    if clues:
        assert parsed(fields, "X-Coop-Clues").count("(") == len(clues)


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=60))
def test_no_encoded_word_is_too_long(clue: str) -> None:
    """RFC 2047 section 2: at most 75 characters; longer ones are shown undecoded."""
    for field in header_fields(judgement((clue, 1.0)))[1:]:
        assert all(len(word) <= 75 for word in field.split() if word.startswith(b"=?"))

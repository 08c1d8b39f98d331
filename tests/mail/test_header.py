"""Our header fields: every forged one goes, ours goes on top, and no other octet moves."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter.mail.header import VERDICT, end_of_header, fields, with_fields, without_ours

OURS = b"X-Coop-Verdict: none; score=0.01\r\n"
REST = b"Subject: A question\r\n\r\nDear webmaster.\r\n"

FORGED = {
    "as we write it": b"X-Coop-Verdict: genuine\r\n",
    "clues": b"X-Coop-Clues: good (-9.9)\r\n",
    "lower case": b"x-coop-verdict: genuine\r\n",
    "upper case": b"X-COOP-VERDICT: genuine\r\n",
    "mixed case": b"x-cOOP-vErDiCt: genuine\r\n",
    "no blank behind the colon": b"X-Coop-Verdict:genuine\r\n",
    "no value": b"X-Coop-Verdict:\r\n",
    "blank before the colon": b"X-Coop-Verdict : genuine\r\n",
    "tab before the colon": b"X-Coop-Verdict\t: genuine\r\n",
    "many blanks before the colon": b"X-Coop-Verdict \t \t  : genuine\r\n",
    "form feed before the colon": b"X-Coop-Verdict\f: genuine\r\n",
    "folded value": b"X-Coop-Verdict: genuine;\r\n score=0.00;\r\n\tmodel=x\r\n",
    "value on the second line": b"X-Coop-Verdict:\r\n genuine\r\n",
    "folded before the colon": b"X-Coop-Verdict\r\n : genuine\r\n",
    "folded twice before the colon": b"X-Coop-Verdict \r\n\t\r\n  : genuine\r\n",
    "an empty folded line": b"X-Coop-Verdict: genuine\r\n \r\n",
    "8-bit value": b"X-Coop-Verdict: genuine \xff\xfe\r\n",
    "twice": b"X-Coop-Verdict: genuine\r\nX-Coop-Verdict: genuine\r\n",
    "both": b"X-Coop-Verdict: genuine\r\nX-Coop-Clues: good\r\nx-coop-clues : good\r\n",
}

LOOK_ALIKE = {
    "longer name": b"X-Coop-Verdict2: genuine\r\n",
    "shorter name": b"X-Coop-Verdic: genuine\r\n",
    "other name in front": b"X-X-Coop-Verdict: genuine\r\n",
    "in a folded value": b"Comments: see\r\n X-Coop-Verdict: genuine\r\n",
    "in a value": b"Comments: X-Coop-Verdict: genuine\r\n",
    "no colon": b"X-Coop-Verdict genuine\r\n",
    "folded before a name that is no colon": b"X-Coop-Verdict\r\n x: genuine\r\n",
}


@pytest.mark.parametrize("spelling", FORGED)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", REST),
        (b"From: a@example.org\r\n", REST),
        (b"To: a@example.org,\r\n b@example.org\r\n", REST),
        (b"From: a@example.org\r\n", b"\r\nDear webmaster.\r\n"),
        (b"From: a@example.org\r\n", b""),
        (b"From a@example.org Mon Nov 23 10:00:00 2026\r\n", REST),
        (b"", b"\r\nDear webmaster.\r\n"),
        (b"", b""),
    ],
    ids=[
        "first line",
        "second line",
        "after a folded field",
        "last line",
        "last line of a mail without body",
        "after a From_ line",
        "only line",
        "only line of a mail without body",
    ],
)
def test_forged_fields_go(spelling: str, before: bytes, after: bytes) -> None:
    assert without_ours(before + FORGED[spelling] + after) == before + after


@pytest.mark.parametrize("line", LOOK_ALIKE)
def test_what_only_looks_like_ours_stays(line: str) -> None:
    content = b"From: a@example.org\r\n" + LOOK_ALIKE[line] + REST
    assert without_ours(content) is content


def test_body_lines_stay() -> None:
    content = REST + b"X-Coop-Verdict: genuine\r\n\r\nX-Coop-Clues: good\r\n"
    assert without_ours(content) is content
    assert without_ours(b"\r\nX-Coop-Verdict: genuine\r\n") == b"\r\nX-Coop-Verdict: genuine\r\n"


def test_the_field_behind_a_forged_one_stays_whole() -> None:
    content = b"X-Coop-Verdict: genuine\r\n x\r\nTo: a,\r\n b\r\n" + REST
    assert without_ours(content) == b"To: a,\r\n b\r\n" + REST


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (REST, OURS + REST),
        (b"From a Mon\r\n" + REST, b"From a Mon\r\n" + OURS + REST),
        (b">From a Mon\r\n" + REST, b">From a Mon\r\n" + OURS + REST),
        (b"From: a\r\n" + REST, OURS + b"From: a\r\n" + REST),
        (b" begins with a blank\r\n", OURS + b"\r\n begins with a blank\r\n"),
        (b"\tbegins with a tab\r\n", OURS + b"\r\n\tbegins with a tab\r\n"),
        (b"From a Mon\r\n folded\r\n", b"From a Mon\r\n" + OURS + b"\r\n folded\r\n"),
        (b"", OURS),
        (b"\r\n", OURS + b"\r\n"),
        (b"\r\nDear webmaster.\r\n", OURS + b"\r\nDear webmaster.\r\n"),
        (b"From: a\r\n", OURS + b"From: a\r\n"),
        (b"dear webmaster\r\n", OURS + b"dear webmaster\r\n"),
    ],
    ids=[
        "on top",
        "below a From_ line",
        "below an escaped From_ line",
        "above a From field",
        "mail that begins with a blank",
        "mail that begins with a tab",
        "From_ line that is folded",
        "empty mail",
        "empty line only",
        "no header",
        "no body",
        "no header, no empty line",
    ],
)
def test_insertion(content: bytes, wanted: bytes) -> None:
    assert with_fields(content, [OURS]) == wanted


def test_several_fields_keep_their_order() -> None:
    clues = b"X-Coop-Clues: link (+1.0)\r\n"
    assert with_fields(REST, [OURS, clues]) == OURS + clues + REST


def test_end_of_header() -> None:
    assert end_of_header(b"\r\nbody") == 0
    assert end_of_header(b"A: b\r\n\r\nbody") == len(b"A: b\r\n")
    assert end_of_header(b"A: b\r\n") == len(b"A: b\r\n")


def test_values_are_unfolded() -> None:
    header = b"SUBJECT : a\r\n\tb\r\nno field\r\nX:\r\n"
    assert list(fields(header)) == [(b"subject", b"a\tb"), (b"x", b"")]


# Pieces that headers are made of, ours among them, so that chance finds the odd neighbourhoods.
PIECES = st.sampled_from(
    (
        *(VERDICT, b"X-Coop-Clues", b"x-coop-verdict", b":", b" ", b"\t"),
        *(b"\r\n", b"\r\n ", b"\r\n\r\n", b"\f", b"\xff", b"c"),
        *(b"From ", b">From ", b"From: a", b"Subject: b"),
    )
)
CONTENT = st.lists(
    PIECES | st.binary(max_size=4).map(lambda b: re.sub(rb"[\r\n\0]", b"", b)), max_size=24
).map(lambda pieces: b"".join(pieces) + b"\r\n")


def without_ours_by_hand(content: bytes) -> bytes:
    """The same edit, written line by line: slower, and easy to be sure of."""
    end = end_of_header(content)
    entries: list[bytes] = []
    for line in content[:end].splitlines(keepends=True):
        if entries and line[:1] in (b" ", b"\t"):
            entries[-1] += line
        else:
            entries.append(line)
    return b"".join(entry for entry in entries if not _is_ours(entry)) + content[end:]


def _is_ours(entry: bytes) -> bool:
    name, colon, _ = entry.replace(b"\r\n", b"").partition(b":")
    return bool(colon) and name.rstrip().lower() in (b"x-coop-verdict", b"x-coop-clues")


@settings(deadline=None)  # a busy machine is no fault
@given(CONTENT)
def test_every_octet_but_our_fields_is_unchanged(content: bytes) -> None:
    assert without_ours(content) == without_ours_by_hand(content)


@settings(deadline=None)  # a busy machine is no fault
@given(CONTENT)
def test_exactly_one_field_afterwards(content: bytes) -> None:
    marked = with_fields(content, [OURS])
    header = marked[: end_of_header(marked)]
    assert [name for name, _ in fields(header)].count(b"x-coop-verdict") == 1
    assert b"x-coop-clues" not in [name for name, _ in fields(header)]


@settings(deadline=None)  # a busy machine is no fault
@given(CONTENT)
def test_a_second_time_changes_nothing(content: bytes) -> None:
    marked = with_fields(content, [OURS])
    assert with_fields(marked, [OURS]) == marked
    assert without_ours(without_ours(content)) == without_ours(content)


@settings(deadline=None)  # a busy machine is no fault
@given(CONTENT)
def test_the_body_is_unchanged(content: bytes) -> None:
    body = content[end_of_header(content) :]
    assert with_fields(content, [OURS]).endswith(body)

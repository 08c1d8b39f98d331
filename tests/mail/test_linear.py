"""Mails built to hurt come through, in time that grows with their size and not with its square.

Times are processor time, the least of three, and compared with each other: four times the size may
take twelve times as long (the square would be sixteen), and what is quick anyhow is not compared.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from mail.killers import HEADER, KILLERS, Killer, many_parts, nested_multiparts

from milter.mail.folder import SEPARATOR
from milter.mail.header import with_fields
from milter.mail.identity import folded_body, message_id
from milter.mail.text import MAX_TEXT, read_text
from milter.sections import Limits
from milter.spam.tokens import Tokens, tokenize

# A fourth of the size that does harm elsewhere, which is then the greater of the two.
QUARTER_MEGABYTE = 250_000
QUICK = 0.020  # seconds; below, the clock says more about the machine than about the code
FACTOR = 12
FIELD = b"X-Coop-Verdict: none\r\n"


def tokens_of(content: bytes) -> Tokens:
    return tokenize(read_text(content))


def seconds(work: Callable[[bytes], object], content: bytes, times: int = 3) -> float:
    took = []
    for _ in range(times):
        start = time.process_time()
        work(content)
        took.append(time.process_time() - start)
    return min(took)


def assert_linear(work: Callable[[bytes], object], killer: Killer, size: int) -> None:
    first = seconds(work, killer(4 * size), times=1)
    # Past the deadline a mail goes on unjudged, which is what its sender wants.
    assert first < Limits().judging
    if first > QUICK:
        large = seconds(work, killer(4 * size))
        assert large <= QUICK or large <= FACTOR * seconds(work, killer(size))


@pytest.mark.parametrize("name", KILLERS)
def test_reading_is_linear(name: str) -> None:
    assert_linear(tokens_of, KILLERS[name], QUARTER_MEGABYTE)


@pytest.mark.parametrize("name", HEADER)
def test_editing_is_linear(name: str) -> None:
    """The header is edited without a deadline, so up to the 10 MB that Postfix takes."""
    assert_linear(lambda c: with_fields(c, [FIELD]), HEADER[name], 10 * QUARTER_MEGABYTE)


@pytest.mark.parametrize("name", KILLERS)
def test_telling_a_mail_from_others_is_linear(name: str) -> None:
    """It has no deadline either, and sees a megabyte at most."""
    assert_linear(lambda c: (message_id(c), folded_body(c)), KILLERS[name], QUARTER_MEGABYTE)


@pytest.mark.parametrize("name", HEADER)
def test_editing_needs_little_memory(name: str) -> None:
    content = HEADER[name](QUARTER_MEGABYTE)
    tracemalloc.start()
    try:
        with_fields(content, [FIELD])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(content)


def test_an_mbox_separator_is_linear() -> None:
    assert_linear(SEPARATOR.match, lambda n: b"From " + b"00:00 " * (n // 6), 6_000)


def test_a_thousand_nested_multiparts() -> None:
    assert seconds(tokens_of, nested_multiparts(1000), times=1) < Limits().judging


def test_fifty_thousand_parts() -> None:
    tokens = tokens_of(many_parts(50_000))
    assert set(tokens.body) == {"x"}


def test_sixteen_kilobytes_of_semicolons() -> None:
    content = b"Content-Type: text/plain" + b";" * 16384 + b"\r\n\r\nDear webmaster\r\n"
    assert read_text(content).body == "Dear webmaster\n"


def test_text_is_capped() -> None:
    mail = read_text(b"Subject: s\r\n\r\n" + b"word \r\n" * 200_000)
    assert len(mail.body) <= MAX_TEXT

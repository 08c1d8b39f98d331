"""The hash over the body is that of the RFC, and takes no more memory for a larger body."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import example, given
from hypothesis import strategies as st

from milter.trust.body import body_hash

# Long enough for pieces to end anywhere in them.
BODIES = st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"a", b"bc", b"\xff", b" \r\n"]))


@given(BODIES.map(b"".join), st.integers(1, 9), st.sampled_from([b"", b"To: x\r\n\r\n"]))
@example(b"", 1, b"")
@example(b"\r\n", 1, b"")
@example(b" \t\r\n\r\n", 2, b"")
@example(b" C \r\nD \t E\r\n\r\n\r\n", 3, b"")  # RFC 6376 section 3.4.5
def test_as_dkimpy_has_it(body: bytes, piece: int, head: bytes) -> None:
    """dkimpy does it all at once, which is plain to see; ours does it piece by piece."""
    body = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    for relaxed, form in ((True, Relaxed), (False, Simple)):
        expected = hashlib.sha256(form.canonicalize_body(body)).digest()
        assert body_hash(head + body, len(head), relaxed, piece) == expected


def test_a_last_line_without_an_end_gets_one() -> None:
    """RFC 6376 section 3.4.3; relaxed takes away its blanks first (3.4.4)."""
    assert body_hash(b"a ", 0, relaxed=False) == hashlib.sha256(b"a \r\n").digest()
    assert body_hash(b"a ", 0, relaxed=True) == hashlib.sha256(b"a\r\n").digest()


@pytest.mark.parametrize("line", [b"a b  c\r\n", b"\r\n", b" \r\n", b"a\t" * 999])
@pytest.mark.parametrize("relaxed", [True, False])
def test_memory_does_not_grow_with_the_body(line: bytes, relaxed: bool) -> None:
    body = line * (4_000_000 // len(line))
    tracemalloc.start()
    body_hash(body, 0, relaxed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(body) / 2

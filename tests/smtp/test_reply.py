"""Replies: read off the wire in any pieces, octets kept, nothing in them that could do harm."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp.octets import steady

from milter.smtp import reply as r
from milter.smtp.reply import MAX_REPLY_LINE, MAX_REPLY_LINES, Reply, ReplyReader

OURS = {name: value for name, value in vars(r).items() if isinstance(value, Reply)}

texts = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)


def read(*pieces: bytes) -> Reply | None:
    """The reply that the last piece completes; an earlier one would be a fault."""
    reader = ReplyReader()
    for piece in pieces[:-1]:
        assert reader.feed(piece) is None
    return reader.feed(pieces[-1])


class TestReader:
    @pytest.mark.parametrize(
        "octets",
        [
            b"250 2.1.0 Ok\r\n",
            b"250 \r\n",
            b"354 End data with <CR><LF>.<CR><LF>\r\n",
            b"550-5.1.1 no\r\n550 5.1.1 user\r\n",
            b"250-next.example\r\n250-\r\n250 SIZE 1\r\n",
            b"550 5.7.1 gr\xc3\xbcn \xff\ttab\r\n",
        ],
    )
    def test_octets_are_kept(self, octets: bytes) -> None:
        assert read(octets) == Reply(int(octets[:3]), octets)

    @steady
    @given(st.integers(200, 599), st.lists(texts, min_size=1, max_size=5), st.data())
    def test_any_split(self, code: int, lines: list[str], data: st.DataObject) -> None:
        whole = Reply.of(code, "", *lines)
        places = st.lists(st.integers(0, len(whole.octets) - 1), max_size=6).map(sorted)
        cuts = [0, *data.draw(places), len(whole.octets)]
        pieces = [whole.octets[start:end] for start, end in itertools.pairwise(cuts)]
        assert read(*pieces) == whole

    def test_one_at_a_time(self) -> None:
        octets = b"250-next.example\r\n250-PIPELINING\r\n250 SIZE 1\r\n"
        assert read(*(bytes([octet]) for octet in octets)) == Reply(250, octets)

    def test_several_replies_one_after_the_other(self) -> None:
        reader = ReplyReader()
        assert reader.feed(b"250 1\r\n") == Reply(250, b"250 1\r\n")
        assert reader.feed(b"550-2\r\n") is None
        assert reader.feed(b"550 3\r\n") == Reply(550, b"550-2\r\n550 3\r\n")

    @pytest.mark.parametrize(
        ("octets", "handed_on"),
        [
            (b"250 Ok\n", b"250 Ok\r\n"),  # RFC 5321 2.3.8 forbids it, some send it
            (b"250-a\n250 b\r\n", b"250-a\r\n250 b\r\n"),
            (b"250\r\n", b"250 \r\n"),  # a code alone (RFC 5321 4.2)
        ],
    )
    def test_forgiven(self, octets: bytes, handed_on: bytes) -> None:
        assert read(octets) == Reply(250, handed_on)

    def test_control_characters_are_harmless(self) -> None:
        every = bytes(octet for octet in range(32) if octet not in b"\t\r\n") + b"\x7f"
        assert read(b"550 a" + every + b"b\r\n") == Reply(550, b"550 a" + b"?" * 30 + b"b\r\n")


class TestNoReply:
    @pytest.mark.parametrize(
        "octets",
        [
            b"\r\n",
            b"Ok\r\n",
            b"25 Ok\r\n",
            b"150 wait\r\n",
            b"650 what\r\n",
            b" 250 Ok\r\n",
            b"250 a\rb\r\n",
            b"250 a\r\r\n",
            b"250-a\r\n550 b\r\n",  # changes its code
            b"250-a\r\nb\r\n",
            b"250 a\r\n250 b\r\n",  # two where one is due
            b"250 a\r\n2",
        ],
    )
    def test_refused(self, octets: bytes) -> None:
        with pytest.raises(ValueError, match=r"."):
            read(octets)

    @pytest.mark.parametrize("octets", [b"2500 Ok\r\n", b"250Ok\r\n"])
    def test_code_without_a_mark(self, octets: bytes) -> None:
        """A blank, "-" or the line's end stands behind a code (RFC 5321 4.2)."""
        with pytest.raises(ValueError, match=r"."):
            read(octets)

    def test_overlong_line_in_pieces(self) -> None:
        with pytest.raises(ValueError, match="not an SMTP reply"):
            read(*[b"250 "] * MAX_REPLY_LINE)

    def test_overlong_line_whole(self) -> None:
        """The limit must not hang on how the octets came in."""
        with pytest.raises(ValueError, match=r"."):
            read(b"250 " + b"x" * MAX_REPLY_LINE + b"\r\n")

    def test_too_many_lines(self) -> None:
        assert read(b"250-x\r\n" * (MAX_REPLY_LINES - 1) + b"250 x\r\n")
        with pytest.raises(ValueError, match="too many lines"):
            read(b"250-x\r\n" * MAX_REPLY_LINES + b"250 x\r\n")

    @steady
    @given(st.binary())
    def test_any_octets(self, octets: bytes) -> None:
        """A reply of harmless lines, nothing yet, or ValueError; nothing else."""
        try:
            reply = read(octets)
        except ValueError:
            return
        if reply:
            lines = reply.octets.split(b"\r\n")[:-1]
            assert all(
                re.fullmatch(rb"[2-5]\d\d[ -][\t\x20-\x7e\x80-\xff]*", line) for line in lines
            )


class TestReply:
    def test_of_several_lines(self) -> None:
        assert Reply.of(550, "5.7.1", "a", "b").octets == b"550-5.7.1 a\r\n550 5.7.1 b\r\n"

    def test_texts(self) -> None:
        assert Reply.of(250, "", "next.example", "SIZE 1").texts == [b"next.example", b"SIZE 1"]

    @pytest.mark.parametrize(
        ("code", "positive", "final"),
        [(250, True, True), (354, False, False), (451, False, True), (550, False, True)],
    )
    def test_kinds(self, code: int, positive: bool, final: bool) -> None:
        reply = Reply.of(code, "", "x")
        assert (reply.positive, reply.final) == (positive, final)

    @steady
    @given(st.binary(max_size=500))
    def test_harmless_in_a_log(self, octets: bytes) -> None:
        text = str(Reply(550, b"550-" + octets + b"\r\n550 x\r\n"))
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 300


class TestOurs:
    @pytest.mark.parametrize("name", OURS)
    def test_can_be_read(self, name: str) -> None:
        assert read(OURS[name].octets) == OURS[name]

    @pytest.mark.parametrize("name", [name for name in OURS if OURS[name].code != 354])
    def test_enhanced_code_fits(self, name: str) -> None:
        """The class of the enhanced code is the first digit of the code (RFC 2034 section 4)."""
        code = OURS[name].octets
        assert re.match(rb"([245])\d\d \1\.\d\.\d ", code)

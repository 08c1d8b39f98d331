"""The mail's octets: no split changes them, nothing but CRLF.CRLF ends them, smuggling included."""

from __future__ import annotations

import itertools

import pytest
from harness.smuggling import SMUGGLED_ENDS
from hypothesis import given
from hypothesis import strategies as st
from smtp.octets import has_stray, steady

from milter.smtp.data import DataDecoder, DataEncoder, encode

END = b"\r\n.\r\n"
SECOND_MAIL = (
    b"MAIL FROM:<evil@here.example>\r\nRCPT TO:<victim@there.example>\r\nDATA\r\nevil" + END
)

# Few octets, all of them dangerous: what looks like an end of data comes up all the time.
octets = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\0", b"a", b"\r\n"]), max_size=30).map(
    b"".join
)
# Content in our form: CRLF lines without any other CR or LF and without NUL.
lines = st.binary(max_size=12).map(lambda line: line.translate(None, b"\r\n\0"))
content = st.lists(lines | st.sampled_from([b".", b"..", b""]), max_size=10).map(
    lambda texts: b"".join(text + b"\r\n" for text in texts)
)


def decoded(*pieces: bytes) -> tuple[DataDecoder, bytes]:
    """The decoder behind the last piece, and the content that it made of all of them."""
    decoder = DataDecoder()
    made = b""
    for number, piece in enumerate(pieces):
        made += decoder.feed(piece)
        if decoder.done:
            decoder.rest += b"".join(pieces[number + 1 :])  # a caller feeds no further
            break
    return decoder, made


def outcome(*pieces: bytes) -> tuple[bytes, bool, bytes, int]:
    """All that a decoder tells about octets, in whatever pieces they came."""
    decoder, made = decoded(*pieces)
    # Before the end, a split may decide how much is held back, but the end brings it all out.
    if not decoder.done:
        made += decoder.feed(b"!" + END)
        return made, False, b"", decoder.stray
    return made, True, decoder.rest, decoder.stray


def strictly_ended(wire: bytes) -> list[int]:
    """Where data could end for a server that takes any mix of CR, LF and NUL for a line end."""
    lines = wire.replace(b"\0", b"").replace(b"\r", b"\n").split(b"\n")
    return [number for number, line in enumerate(lines) if line == b"."]


class TestSmuggling:
    @pytest.mark.parametrize("ending", SMUGGLED_ENDS)
    @pytest.mark.parametrize("before", [b"Subject: x\r\n\r\ntext", b"", b"one line only"])
    def test_one_mail(self, ending: bytes, before: bytes) -> None:
        decoder, made = decoded(before + ending + SECOND_MAIL)
        assert decoder.done
        assert decoder.rest == b""
        assert b"MAIL FROM:<evil@here.example>" in made
        assert made.endswith(b"evil\r\n")

    @pytest.mark.parametrize("ending", SMUGGLED_ENDS)
    @pytest.mark.parametrize("before", [b"Subject: x\r\n\r\ntext", b"", b"one line only"])
    def test_one_end_goes_out(self, ending: bytes, before: bytes) -> None:
        wire = encode(decoded(before + ending + SECOND_MAIL)[1])
        assert not has_stray(wire)
        assert wire.endswith(END)
        # Even the laxest server sees one end of data, in the last line.
        assert len(strictly_ended(wire)) == 1

    @pytest.mark.parametrize("ending", SMUGGLED_ENDS)
    def test_it_is_counted(self, ending: bytes) -> None:
        assert decoded(b"first\r\ntext" + ending + SECOND_MAIL)[0].stray > 0

    @pytest.mark.parametrize("ending", SMUGGLED_ENDS)
    def test_every_split_in_two(self, ending: bytes) -> None:
        whole = b"first\r\ntext" + ending + SECOND_MAIL
        expected = outcome(whole)
        for place in range(len(whole) + 1):
            assert outcome(whole[:place], whole[place:]) == expected

    def test_real_end_leaves_the_rest(self) -> None:
        decoder, made = decoded(b"first" + END + SECOND_MAIL)
        assert (made, decoder.rest, decoder.stray) == (b"first\r\n", SECOND_MAIL, 0)


class TestSplits:
    @steady
    @given(octets, st.data())
    def test_anywhere(self, whole: bytes, data: st.DataObject) -> None:
        places = st.lists(st.integers(0, len(whole)), max_size=6).map(sorted)
        cuts = [0, *data.draw(places), len(whole)]
        pieces = [whole[start:end] for start, end in itertools.pairwise(cuts)]
        assert outcome(*pieces) == outcome(whole)

    @steady
    @given(octets)
    def test_one_at_a_time(self, whole: bytes) -> None:
        assert outcome(*(bytes([octet]) for octet in whole)) == outcome(whole)

    @steady
    @given(octets)
    def test_no_stray_octet_comes_out(self, whole: bytes) -> None:
        made = outcome(whole)[0]
        assert not has_stray(made)
        wire = encode(made)
        assert wire.count(END) + wire.startswith(b".\r\n") == 1
        assert len(strictly_ended(wire)) == 1

    @steady
    @given(octets)
    def test_end_is_where_the_rfc_has_it(self, whole: bytes) -> None:
        """The same by another way: the line end of DATA counts as the first CRLF."""
        _, found, rest = (b"\r\n" + whole).partition(END)
        _, done, left, _ = outcome(whole)
        assert (done, left) == (bool(found), rest)


class TestRoundTrip:
    @steady
    @given(content)
    def test_content_comes_back(self, mail: bytes) -> None:
        decoder, made = decoded(encode(mail))
        assert (made, decoder.done, decoder.rest, decoder.stray) == (mail, True, b"", 0)

    @steady
    @given(content)
    def test_no_end_within(self, mail: bytes) -> None:
        assert (b"\r\n" + encode(mail)).find(END) == len(encode(mail)) - len(b".\r\n")

    @pytest.mark.parametrize(
        "mail", [b"", b"\r\n", b".\r\n", b"..\r\n", b"\r\n.\r\n.\r\n", b".x\r\n"]
    )
    def test_examples(self, mail: bytes) -> None:
        assert decoded(encode(mail))[1] == mail

    @pytest.mark.parametrize(
        "mail",
        [b"x", b"x\n", b"x\r", b"\n", b"a\rb\r\n", b"a\nb\r\n", b"a\0\r\n", b"a\r\r\n", b"\0"],
    )
    def test_other_content_never_goes_out(self, mail: bytes) -> None:
        with pytest.raises(AssertionError):
            encode(mail)


def encoded(pieces: list[bytes]) -> bytes:
    encoder = DataEncoder()
    return b"".join(encoder.encode(piece) for piece in pieces) + encoder.end()


class TestEncoderInPieces:
    @steady
    @given(content, st.data())
    def test_any_split(self, mail: bytes, data: st.DataObject) -> None:
        places = st.lists(st.integers(0, len(mail)), max_size=6).map(sorted)
        cuts = [0, *data.draw(places), len(mail)]
        assert encoded([mail[start:end] for start, end in itertools.pairwise(cuts)]) == encode(mail)

    @steady
    @given(content)
    def test_one_at_a_time(self, mail: bytes) -> None:
        assert encoded([bytes([octet]) for octet in mail]) == encode(mail)

    def test_no_piece_at_all(self) -> None:
        assert encoded([]) == b".\r\n"

    @pytest.mark.parametrize("ending", SMUGGLED_ENDS)
    def test_stray_octets_are_refused_at_every_border(self, ending: bytes) -> None:
        mail = b"text" + ending + b"MAIL FROM:<evil@here.example>\r\n"
        for place in range(len(mail) + 1):
            with pytest.raises(AssertionError):
                encoded([mail[:place], mail[place:]])


class TestLineEnds:
    def test_stray_becomes_a_blank(self) -> None:
        decoder, made = decoded(b"first\r\na\rb\nc\0d\r\r\n" + b".\r\n")
        assert (made, decoder.stray) == (b"first\r\na b c d \r\n", 4)

    def test_mail_of_lf_lines_keeps_its_lines(self) -> None:
        """``curl --upload-file`` of a Unix file: only the very end is CRLF.CRLF."""
        decoder, made = decoded(b"Subject: x\n\ntext\n.\nmore\n" + END)
        assert made == b"Subject: x\r\n\r\ntext\r\n.\r\nmore\r\n\r\n"
        assert decoder.stray == 5

    def test_mail_of_lf_lines_in_pieces(self) -> None:
        whole = b"Subject: x\n\ntext\n.\r\nmore\r\n.\n" + END
        for place in range(len(whole) + 1):
            assert outcome(whole[:place], whole[place:]) == outcome(whole)

    def test_crlf_in_the_first_line_decides(self) -> None:
        assert decoded(b"Subject: x\r\ny\nz" + END)[1] == b"Subject: x\r\ny z\r\n"

    def test_lone_cr_becomes_a_blank_in_a_mail_of_lf_lines_too(self) -> None:
        assert decoded(b"a\nb\rc\n" + END)[1] == b"a\r\nb c\r\n\r\n"

    def test_first_line_end_in_a_later_piece(self) -> None:
        assert decoded(b"Subject: ", b"x", b"\n", b"y\nz", END)[1] == b"Subject: x\r\ny\r\nz\r\n"


class TestDots:
    @pytest.mark.parametrize(
        ("wire", "mail"),
        [
            (b"..\r\n.\r\n", b".\r\n"),
            (b"...\r\n.\r\n", b"..\r\n"),
            (b".x\r\n.\r\n", b"x\r\n"),  # not stuffed: the sender's fault, RFC 5321 4.5.2
            (b"x.\r\n.\r\n", b"x.\r\n"),
            (b"x\r\n..y\r\n.\r\n", b"x\r\n.y\r\n"),
            (b".\r\n", b""),
            (b"\r\n.\r\n", b"\r\n"),
        ],
    )
    def test_unstuffing(self, wire: bytes, mail: bytes) -> None:
        decoder, made = decoded(wire)
        assert (made, decoder.done) == (mail, True)

    def test_nothing_ends_before_the_last_octet(self) -> None:
        decoder, _ = decoded(b"text\r\n.\r")
        assert not decoder.done
        decoder.feed(b"\n")
        assert decoder.done

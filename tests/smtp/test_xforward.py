"""XFORWARD: attributes in, as XFORWARD_README has them; commands of 512 octets at most out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp.octets import steady

from milter.smtp import xforward
from milter.smtp.xforward import ATTRIBUTES, MAX_COMMAND, MAX_VALUE

values = st.binary(min_size=1, max_size=MAX_VALUE).map(
    lambda value: bytes(octet for octet in value if octet > 0x20 and octet != 0x7F)
)
attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), values, min_size=1)


class TestParse:
    @pytest.mark.parametrize(
        ("argument", "expected"),
        [
            (b"ADDR=192.0.2.7", {b"ADDR": b"192.0.2.7"}),
            (b"addr=IPV6:2001:db8::7", {b"ADDR": b"IPV6:2001:db8::7"}),
            (b"NAME=[UNAVAILABLE] PORT=1", {b"NAME": b"[UNAVAILABLE]", b"PORT": b"1"}),
            (b"HELO=a+20b+3Dc", {b"HELO": b"a+20b+3Dc"}),  # xtext stays as it is
            (b"HELO=a=b", {b"HELO": b"a=b"}),  # not encoded: old Postfix
            (b"HELO=\xfc", {b"HELO": b"\xfc"}),
            (b"IDENT=", {b"IDENT": b""}),
            (b"ADDR=1  ADDR=2", {b"ADDR": b"2"}),
        ],
    )
    def test_parse(self, argument: bytes, expected: dict[bytes, bytes]) -> None:
        assert xforward.parse(argument) == expected

    @pytest.mark.parametrize(
        "argument",
        [b"", b" ", b"ADDR", b"=1", b"COLOUR=blue", b"ADDR=1 COLOUR=blue", b"LOGIN=x", b"ADDR =1"],
    )
    def test_malformed(self, argument: bytes) -> None:
        assert xforward.parse(argument) is None

    @pytest.mark.parametrize("octet", [0, 1, 7, 8, 27, 31, 127])
    def test_control_characters(self, octet: int) -> None:
        assert xforward.parse(b"HELO=a" + bytes([octet]) + b"b") is None

    def test_longest_value(self) -> None:
        assert xforward.parse(b"HELO=" + b"h" * MAX_VALUE) == {b"HELO": b"h" * MAX_VALUE}
        assert xforward.parse(b"HELO=" + b"h" * (MAX_VALUE + 1)) is None

    @steady
    @given(st.binary())
    def test_any_octets(self, argument: bytes) -> None:
        for value in (xforward.parse(argument) or {}).values():
            assert all(octet > 0x20 and octet != 0x7F for octet in value)


class TestCommands:
    def test_all_on_one_line(self) -> None:
        given_ = {b"ADDR": b"192.0.2.7", b"NAME": b"spike.example"}
        assert xforward.commands(given_, ATTRIBUTES) == [
            b"XFORWARD NAME=spike.example ADDR=192.0.2.7"
        ]

    def test_only_what_is_announced(self) -> None:
        given_ = {b"ADDR": b"192.0.2.7", b"PORT": b"1", b"NAME": b"x"}
        assert xforward.commands(given_, [b"ADDR", b"SOURCE"]) == [b"XFORWARD ADDR=192.0.2.7"]

    @pytest.mark.parametrize(("given_", "announced"), [({}, ATTRIBUTES), ({b"ADDR": b"1"}, [])])
    def test_nothing_to_say(self, given_: dict[bytes, bytes], announced: list[bytes]) -> None:
        assert xforward.commands(given_, announced) == []

    def test_exactly_512_octets(self) -> None:
        """``XFORWARD NAME=`` 14, ``<blank>HELO=`` 6, CRLF 2, 255 + 235: 512, and not one more."""
        fits = {b"NAME": b"n" * 255, b"HELO": b"h" * 235}
        assert [len(line) + 2 for line in xforward.commands(fits, ATTRIBUTES)] == [512]
        fits[b"HELO"] += b"h"
        assert len(xforward.commands(fits, ATTRIBUTES)) == 2

    @steady
    @given(attributes)
    def test_nothing_is_lost_and_nothing_too_long(self, given_: dict[bytes, bytes]) -> None:
        lines = xforward.commands(given_, ATTRIBUTES)
        assert all(len(line) + len(b"\r\n") <= MAX_COMMAND for line in lines)
        back: dict[bytes, bytes] = {}
        for line in lines:
            back |= xforward.parse(line.removeprefix(b"XFORWARD ")) or {}
        assert back == given_


class TestClient:
    @pytest.mark.parametrize(
        ("given_", "text"),
        [
            ({b"ADDR": b"192.0.2.7"}, "192.0.2.7"),
            ({b"ADDR": b"IPV6:2001:db8::7"}, "IPV6:2001:db8::7"),
            ({b"ADDR": b"[UNAVAILABLE]"}, "unknown"),
            ({b"ADDR": b""}, "unknown"),
            ({}, "unknown"),
        ],
    )
    def test_client(self, given_: dict[bytes, bytes], text: str) -> None:
        assert xforward.client(given_) == text

    def test_is_ascii(self) -> None:
        """It goes into the log, and its octets are the peer's."""
        assert xforward.client({b"ADDR": b"192.0.2.7\xff"}).isascii()

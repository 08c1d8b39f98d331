"""Commands and addresses: cut out of their line, never changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smtp.octets import steady

from milter.smtp import reply
from milter.smtp.command import ALLOWED, Address, Command, State, out_of_place


def sender(argument: bytes) -> Address:
    address = Address.parse(b"FROM", argument)
    assert address is not None
    return address


class TestCommand:
    @pytest.mark.parametrize(
        ("line", "verb", "argument"),
        [
            (b"QUIT", b"QUIT", b""),
            (b"quit", b"QUIT", b""),
            (b"QUIT  ", b"QUIT", b""),
            (b"MAIL FROM:<a@b> SIZE=1", b"MAIL", b"FROM:<a@b> SIZE=1"),
            (b"mAiL  From:<A@B>", b"MAIL", b"From:<A@B>"),
            (b"EHLO \t x \t", b"EHLO", b"x"),
            (b"", b"", b""),
            (b" NOOP", b"", b"NOOP"),
            (b"NOOP\0", b"NOOP\0", b""),  # no command: a NUL ends nothing
            (b"NO\rOP", b"NO\rOP", b""),
            (b"\xe4\xf6 x", b"\xe4\xf6", b"x"),
        ],
    )
    def test_parse(self, line: bytes, verb: bytes, argument: bytes) -> None:
        assert Command.parse(line) == Command(verb, argument)

    @steady
    @given(st.binary())
    def test_any_line(self, line: bytes) -> None:
        Command.parse(line)  # never raises


class TestTable:
    def test_mail_is_never_nested(self) -> None:
        assert ALLOWED[b"MAIL"] == {State.READY, State.BROKEN}

    def test_rest_of_a_broken_mail_may_come(self) -> None:
        """It gets 451; 503 would make the sender bounce recipients accepted before."""
        assert State.BROKEN in ALLOWED[b"RCPT"] & ALLOWED[b"DATA"]

    @pytest.mark.parametrize("verb", [b"QUIT", b"RSET", b"NOOP", b"EHLO", b"HELO"])
    def test_always(self, verb: bytes) -> None:
        assert ALLOWED[verb] == set(State)

    @pytest.mark.parametrize("verb", [v for v, states in ALLOWED.items() if states != set(State)])
    def test_nothing_before_ehlo(self, verb: bytes) -> None:
        assert State.CONNECTED not in ALLOWED[verb]
        assert out_of_place(verb, State.CONNECTED) is reply.SAY_HELLO

    @pytest.mark.parametrize(
        ("verb", "state", "expected"),
        [
            (b"MAIL", State.MAIL, reply.NO_NESTED_MAIL),
            (b"XFORWARD", State.RCPT, reply.NO_NESTED_MAIL),
            (b"RCPT", State.READY, reply.NEED_MAIL),
            (b"DATA", State.READY, reply.NEED_MAIL),
        ],
    )
    def test_out_of_place(self, verb: bytes, state: State, expected: reply.Reply) -> None:
        assert out_of_place(verb, state) is expected


class TestAddress:
    @pytest.mark.parametrize(
        "text",
        [
            b"<a@here.example>",
            b"<>",
            b"<> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=AbC",
            b"<b@there.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;A@There.Example",
            b"<b@there.example> X  Y   Z=1",  # blanks between parameters stay
            b"<b@there.example> X\tY",
            b'<"a b"@here.example>',
            b'<"a>b"@here.example> SIZE=1',
            b'<"a> SIZE=1 <b"@here.example>',
            b'<"a\\"> b"@here.example>',
            b'<"a\\\\"@here.example>',
            b'<"">',
            b"<@one.example,@two.example:a@here.example>",
            b"<a@[192.0.2.1]>",
            b"<a@[IPv6:2001:db8::1]>",
            b"<j\xc3\xb6rg@m\xc3\xbcller.example> SMTPUTF8",
            b"<j\xf6rg@here.example>",
            b"<postmaster>",
            b"<A.Person@Here.EXAMPLE>",
            b"<a@b> AUTH=<>",
            b"<a@b> AUTH=<c@d> SIZE=1",
        ],
    )
    def test_octet_for_octet(self, text: bytes) -> None:
        assert bytes(sender(b"FROM:" + text)) == text

    @pytest.mark.parametrize(
        ("argument", "path", "parameters"),
        [
            (b"FROM:<a@b> SIZE=1", b"<a@b>", b"SIZE=1"),
            (b"from:<a@b>   SIZE=1", b"<a@b>", b"SIZE=1"),
            (b"FROM: <a@b>", b"<a@b>", b""),
            (b"FROM:a@b", b"<a@b>", b""),
            (b"FROM: a@b SIZE=1", b"<a@b>", b"SIZE=1"),
            (b'FROM:<"a> X=1 "@b> Y=2', b'<"a> X=1 "@b>', b"Y=2"),
        ],
    )
    def test_parts(self, argument: bytes, path: bytes, parameters: bytes) -> None:
        assert sender(argument) == Address(path, parameters)

    @pytest.mark.parametrize(
        "argument",
        [
            b"",
            b"FROM",
            b"FROM:",
            b"FROM: ",
            b"FROM:  <a@b>",
            b"<a@b>",
            b"TO:<a@b>",
            b"FROM <a@b>",
            b"FROM:<a@b",
            b"FROM:a@b>",
            b"FROM:<a@b>>",
            b"FROM:<a@b>SIZE=1",
            b'FROM:<"a@b>',
            b'FROM:<"a\\"@b>',
            b"FROM:<a@b>\tSIZE=1",
        ],
    )
    def test_no_address(self, argument: bytes) -> None:
        assert Address.parse(b"FROM", argument) is None

    @pytest.mark.parametrize("octet", [*range(9), *range(10, 32), 127])
    @pytest.mark.parametrize("form", [b"FROM:<a%s@b>", b'FROM:<"a%s"@b>', b"FROM:<a@b> X=%s."])
    def test_control_characters(self, form: bytes, octet: int) -> None:
        assert Address.parse(b"FROM", form % bytes([octet])) is None

    @steady
    @given(st.binary(), st.sampled_from([b"FROM", b"TO"]))
    def test_never_two_lines(self, argument: bytes, keyword: bytes) -> None:
        address = Address.parse(keyword, keyword + b":" + argument)
        if address:
            assert not set(b"\r\n\0") & set(bytes(address))
            assert address.path.startswith(b"<")
            assert address.path.endswith(b">")

    @pytest.mark.parametrize("octets", [b'"', b"\\", b"<", b'"\\', b'""a'])
    def test_no_long_thinking(self, octets: bytes) -> None:
        """Quotes and backslashes by the thousand: a pattern that tries all ways would hang here."""
        assert Address.parse(b"FROM", b"FROM:<" + octets * 2001) is None


class TestParameters:
    @pytest.mark.parametrize(
        ("argument", "wanted"),
        [
            (b"FROM:<a@b> SMTPUTF8", True),
            (b"FROM:<a@b> SIZE=1 smtputf8", True),
            (b"FROM:<a@b> SMTPUTF8=yes", True),
            (b"FROM:<a@b> SMTPUTF88", False),
            (b"FROM:<a@b> X=SMTPUTF8", False),
            (b'FROM:<" SMTPUTF8 "@b>', False),
            (b"FROM:<a@b>", False),
        ],
    )
    def test_wants(self, argument: bytes, wanted: bool) -> None:
        assert sender(argument).wants(b"SMTPUTF8") is wanted

    @pytest.mark.parametrize(
        ("parameters", "size"),
        [
            (b"SIZE=100", 100),
            (b"BODY=8BITMIME size=100", 100),
            (b"SIZE=", 0),
            (b"SIZE=-1", 0),
            (b"SIZE=1x", 0),
            (b"SIZE", 0),
            (b"XSIZE=100", 0),
            (b"SIZE=" + b"9" * 4000, 99999999999999999999),  # int() refuses 4,301 digits
        ],
    )
    def test_size(self, parameters: bytes, size: int) -> None:
        assert sender(b"FROM:<a@b> " + parameters).size == size


class TestDomain:
    @pytest.mark.parametrize(
        ("path", "domain"),
        [
            (b"<a@Here.Example>", "here.example"),
            (b"<>", ""),
            (b"<postmaster>", ""),
            (b'<"a@c"@here.example>', "here.example"),
            (b"<@one.example:a@here.example>", "here.example"),
            (b"<a@[IPv6:2001:db8::1]>", "[ipv6:2001:db8::1]"),
            (b"<a@b c\x1b(d>", "b?c??d"),
        ],
    )
    def test_domain(self, path: bytes, domain: str) -> None:
        assert Address(path, b"").domain == domain

    @steady
    @given(st.binary(max_size=600))
    def test_harmless_in_a_log(self, octets: bytes) -> None:
        domain = Address(b"<a@" + octets + b">", b"").domain
        assert domain.isascii()
        assert domain.isprintable()
        assert len(domain) <= 255


class TestMailbox:
    @pytest.mark.parametrize(
        ("path", "mailbox"),
        [
            (b"<Anna@Example.ORG>", "anna@example.org"),
            (b"<>", ""),
            (b"<postmaster>", "postmaster"),
            (b"<@one.example,@two.example:Anna@Example.org>", "anna@example.org"),
            (b'<"@one:x"@example.org>', '"@one:x"@example.org'),
            ("<strauß@example.org>".encode(), "strauß@example.org"),  # not strauss@
            ("<MÜLLER@example.org>".encode(), "mÜller@example.org"),
            (b"<\xff@example.org>", "\\xff@example.org"),
            # written so by who hopes that the filter takes it for somebody else
            (b'<"Anna"@example.org>', "anna@example.org"),
            (b'<"an\\na"@example.org>', "anna@example.org"),
            (b"<an\\na@example.org>", "anna@example.org"),
            (b'<"an".na@example.org>', "an.na@example.org"),
            (b"<anna@example.org.>", "anna@example.org"),
            (b"<anna(b(c))@example.org>", "anna@example.org"),
            (b"<anna@example.org(x)>", "anna@example.org"),
            (b'<"an"(b)na@example.org>', "anna@example.org"),
            (b"<anna @ example.org>", "anna@example.org"),
            # somebody else indeed
            (b'<"an na"@example.org>', '"an na"@example.org'),
            (b'<"a(b)"@example.org>', '"a(b)"@example.org'),
            (b'<""@example.org>', '""@example.org'),
            (b'<"a@b"@example.org>', '"a@b"@example.org'),
        ],
    )
    def test_mailbox(self, path: bytes, mailbox: str) -> None:
        assert Address(path, b"").mailbox == mailbox

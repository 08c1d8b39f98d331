"""What must hold of octets from a connection (``checks`` says how that is meant)."""

from __future__ import annotations

import itertools
import random
import re
import zlib
from collections.abc import Iterator

from milter.smtp import xforward
from milter.smtp.command import Address, Command
from milter.smtp.data import DataDecoder, DataEncoder, encode
from milter.smtp.reply import MAX_REPLY_LINE, MAX_REPLY_LINES, Reply, ReplyReader

END = b"\r\n.\r\n"


def splits(octets: bytes) -> Iterator[list[bytes]]:
    """``octets`` in pieces: one at a time, and in ways that hang on the octets alone."""
    if len(octets) <= 250:
        yield [octets[at : at + 1] for at in range(len(octets))]
    dice = random.Random(zlib.crc32(octets))
    for most in (2, 4, 16):
        places = sorted(dice.randint(0, len(octets)) for _ in range(dice.randint(1, most)))
        yield [octets[a:b] for a, b in itertools.pairwise([0, *places, len(octets)])]
    # The dangerous places: within and around each line end.
    ends = [match.start() for match in itertools.islice(re.finditer(rb"[\r\n]", octets), 40)]
    yield [octets[a:b] for a, b in itertools.pairwise([0, *ends, len(octets)])]


def lines_of(octets: bytes) -> list[bytes]:
    return re.findall(rb"[^\n]*\n|[^\n]+\Z", octets)


def wire(octets: bytes) -> None:
    """All that reads octets from a connection."""
    _decoder(octets)
    _encoder(octets)
    for line in octets.split(b"\r\n", 40)[:40]:
        _command(line)
    _reply(octets)
    _xforward(octets)


def _decoder(octets: bytes) -> None:
    expected = _by_lines(octets)
    assert _decoded([octets]) == expected, "the decoder is not as RFC 5321 4.5.2 has it"
    for pieces in splits(octets):
        assert _decoded(pieces) == expected, "a split changes what is decoded"
    content = expected[0]
    assert _is_content(content), "stray octets come out"
    sent = encode(content)
    assert (b"\r\n" + sent).find(END) == len(sent) - 3, "an end of data within"
    # The laxest server: any mix of CR, LF and NUL ends a line.
    lax = sent.replace(b"\0", b"").replace(b"\r", b"\n").split(b"\n")
    assert [n for n, line in enumerate(lax) if line == b"."] == [len(lax) - 3], "a lax end within"
    assert _decoded([sent]) == (content, True, b"", 0), "what was encoded does not come back"


def _decoded(pieces: list[bytes]) -> tuple[bytes, bool, bytes, int]:
    """Content, whether it ended, what came behind, and how many octets were stray."""
    decoder = DataDecoder()
    made = b""
    for number, piece in enumerate(pieces):
        made += decoder.feed(piece)
        if decoder.done:
            return made, True, decoder.rest + b"".join(pieces[number + 1 :]), decoder.stray
    made += decoder.feed(b"!" + END)
    assert decoder.done
    assert decoder.rest == b""
    return made, False, b"", decoder.stray


def _by_lines(octets: bytes) -> tuple[bytes, bool, bytes, int]:
    """The decoder once more: lines are what CRLF ends, one dot off, strays replaced."""
    before, end, rest = (b"\r\n" + octets).partition(END)
    if not end:
        before = b"\r\n" + octets + b"!"
    lines = [line.removeprefix(b".") for line in before.split(b"\r\n")[1:]]
    content = b"".join(line + b"\r\n" for line in lines)
    first = content.find(b"\n")
    line_end = b"\r\n" if first >= 0 and content[:first][-1:] != b"\r" else b" "
    stray = sum(line.count(octet) for line in lines for octet in (b"\r", b"\n", b"\0"))
    cleaned = [
        line.replace(b"\r", b" ").replace(b"\0", b" ").replace(b"\n", line_end) for line in lines
    ]
    return b"".join(line + b"\r\n" for line in cleaned), bool(end), rest, stray


def _is_content(octets: bytes) -> bool:
    """Whether octets are in the filter's form: CRLF lines, no other CR, LF or NUL."""
    return not re.search(rb"[\r\n\0]", octets.replace(b"\r\n", b"")) and (
        not octets or octets.endswith(b"\r\n")
    )


def _encoder(octets: bytes) -> None:
    whole = _encoded([octets])
    assert (whole is not None) == _is_content(octets), "what is sent or refused is the wrong thing"
    for pieces in splits(octets):
        assert _encoded(pieces) == whole, "a split changes what is encoded"
    if whole is not None:
        assert _decoded([whole]) == (octets, True, b"", 0), "what was encoded does not come back"


def _encoded(pieces: list[bytes]) -> bytes | None:
    """The wire's form, or None where it is refused."""
    encoder = DataEncoder()
    try:
        return b"".join(encoder.encode(piece) for piece in pieces) + encoder.end()
    except AssertionError:
        return None


def _command(line: bytes) -> None:
    command = Command.parse(line)
    assert b" " not in command.verb
    assert command.verb.lower() == line[: len(command.verb)].lower()
    assert command.argument in line
    for keyword in (b"FROM", b"TO"):
        _address(keyword, command.argument)
        _address(keyword, keyword + b":" + line)


def _address(keyword: bytes, argument: bytes) -> None:
    address = Address.parse(keyword, argument)
    if not address:
        return
    octets = bytes(address)
    assert not re.search(rb"[\0-\x08\x0a-\x1f\x7f]", octets), "a control character goes on"
    assert octets[:1] == b"<"
    assert address.path[-1:] == b">"
    assert address.parameters in argument, "parameters are not as they came"
    if address.path in argument:
        assert Address.parse(keyword, keyword + b":" + octets) == address, "read anew, it differs"
    else:
        assert address.path[1:-1] in argument, "the path is not as it came"
        assert not re.search(rb"[\s<>]", address.path[1:-1]), "brackets around more than a path"
    assert len(address.domain) <= 255
    assert address.domain.isascii()
    assert address.domain.isprintable()
    assert address.size >= 0
    assert address.wants(b"SIZE") or not address.size


_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})([ -])[\t\x20-\x7e\x80-\xff]*\r\n")


def _reply(octets: bytes) -> None:
    """The reader takes the same reply from any split, and raises nothing but ValueError."""
    reader = ReplyReader()
    lines = lines_of(octets)  # a reply ends with a line, and nobody says more before being asked
    first, taken = _read(lines, reader)
    used = len(b"".join(lines[:taken]))
    if first is None or first == "refused":
        assert _read([octets])[0] == first, "a split changes what is no reply"
        for pieces in splits(octets):
            assert _read(pieces)[0] == first, "a split changes what is no reply"
        return
    _well_formed(first)
    assert _read([octets[:used]]) == (first, 1)
    assert _read([octets])[0] == (first if used == len(octets) else "refused")
    for pieces in splits(octets[:used]):
        assert _read([piece for piece in pieces if piece])[0] == first, "a split changes a reply"
    assert _read([octets[:used]], reader)[0] == first, "a reader cannot be used again"
    assert _read([first.octets])[0] == first, "a reply that goes on is read differently"


def _read(pieces: list[bytes], reader: ReplyReader | None = None) -> tuple[Reply | str | None, int]:
    """The first reply, None or "refused", and how many pieces that took."""
    reader = reader or ReplyReader()
    for number, piece in enumerate(pieces, 1):
        try:
            reply = reader.feed(piece)
        except ValueError:
            return "refused", number
        if reply:
            return reply, number
    return None, len(pieces)


def _well_formed(reply: Reply) -> None:
    lines = re.findall(rb"[^\n]*\n", reply.octets)
    assert b"".join(lines) == reply.octets
    assert 0 < len(lines) <= MAX_REPLY_LINES
    for line in lines:
        match = _REPLY_LINE.fullmatch(line)
        assert match, "a reply's line is none"
        assert int(match[1]) == reply.code
        assert (match[2] == b" ") == (line is lines[-1])
        assert len(line) <= MAX_REPLY_LINE + 2  # a mark and a CR may have been added
    assert len(reply.texts) == len(lines)
    assert str(reply).isascii()
    assert str(reply).isprintable()


def _xforward(octets: bytes) -> None:
    attributes = xforward.parse(octets)
    if attributes is None:
        return
    lines = xforward.commands(attributes, xforward.ATTRIBUTES)
    handed_on: dict[bytes, bytes] = {}
    for line in lines:
        assert len(line) + 2 <= xforward.MAX_COMMAND
        assert not re.search(rb"[\0-\x1f\x7f]", line), "a control character goes on"
        some = xforward.parse(line.removeprefix(b"XFORWARD "))
        assert some
        assert not some.keys() & handed_on.keys()
        handed_on |= some
    assert handed_on == attributes, "attributes are lost or changed"
    assert xforward.commands(attributes, ()) == []
    assert xforward.client(attributes).isascii()

"""MIME under caps: from content to the text parts worth reading.

A walk over octets instead of Python's ``email``: that parser needs several hundred microseconds a
mail, and a second or more for mails built to hurt it. This one is lenient as mail clients are:
a boundary that never comes leaves the part as it is, damaged base64 is read as far as it goes.
RFC 2045 and 2046 are the grammar, RFC 2231 for parameters in several pieces.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from milter.mail import header

# Caps. Past them reading stops and what was read so far is judged. Wanted mail stays far below:
# forwarded chains nest some 5 deep, newsletters have some 10 parts.
MAX_DEPTH = 16
MAX_PARTS = 100
MAX_HEADER = 65536  # octets of header that are read
MAX_PARAMETERS = 4096  # octets of a Content-Type that are read
MAX_PART = 262144  # octets of one part that are decoded


@dataclass(frozen=True, slots=True)
class TextPart:
    """One text part: decoded octets, its declared charset, whether HTML, whether an attachment."""

    octets: bytes
    charset: str
    html: bool
    attached: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that is not split further: type, transfer encoding and file name as declared."""

    kind: bytes
    encoding: bytes
    name: bytes
    octets: bytes

    def decoded(self) -> bytes:
        """Its octets without their transfer encoding."""
        return decoded(self.octets, self.encoding)


@dataclass(slots=True)
class _Entity:
    """The header fields of an entity (a mail or a part) that decide how it is read."""

    kind: bytes = b"text/plain"
    parameters: dict[bytes, bytes] = field(default_factory=dict)
    encoding: bytes = b""
    attached: bool = False
    disposition: bytes = b""
    typed: bool = False

    @classmethod
    def of(cls, fields: Iterable[tuple[bytes, bytes]], default: bytes = b"text/plain") -> _Entity:
        """An entity by its header; without a type it is of the type ``default``."""
        entity = cls(kind=default)
        for name, value in fields:
            if not name.startswith(b"content-"):
                continue
            if name == b"content-type":
                entity._content_type(value[:MAX_PARAMETERS])
            elif name == b"content-transfer-encoding" and not entity.encoding:
                entity.encoding = _without_comments(value[:MAX_PARAMETERS]).lower()
            elif name == b"content-disposition":
                entity.attached = value[:10].lower() == b"attachment"
                entity.disposition = value[:MAX_PARAMETERS]
        return entity

    def _content_type(self, value: bytes) -> None:
        """Take a Content-Type in. Of two the first counts, unless only the second has text."""
        kind, _, rest = value.partition(b";")
        kind = _without_comments(kind).lower()
        if self.typed and (_may_have_text(self.kind) or not _may_have_text(kind)):
            return
        self.typed = True
        if b"/" in kind:
            self.kind = kind
        self.parameters = _parameters(rest)


def _read(fields: bytes, default: bytes = b"text/plain") -> _Entity:
    """The entity whose header is ``fields``. It is not to be changed: others have the same one."""
    return _usual(fields, default) if len(fields) <= _USUAL else _entity(fields, default)


def _entity(fields: bytes, default: bytes) -> _Entity:
    return _Entity.of(header.fields(fields), default)


# Parts have the same few headers in all mails; that of a mail itself is longer.
_USUAL = 200
_usual = lru_cache(maxsize=512)(_entity)


_PARAMETER = re.compile(
    rb"\s*([^\s=;\"]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*+)\"?|([^\s;]*))[^;]*+", re.DOTALL
)


def _parameters(text: bytes) -> dict[bytes, bytes]:
    """Parameters by lower-case name; pieces (``name*0``, ``name*1``) are put together."""
    pieces: dict[bytes, dict[int, bytes]] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match:
            name, quoted, plain = match.groups()
            value = re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else plain
            base, _, number = name.lower().partition(b"*")
            if name.endswith(b"*"):
                value = _unescaped(value)
            order = int(number.rstrip(b"*")[:4]) if number.rstrip(b"*")[:4].isdigit() else 0
            pieces.setdefault(base, {}).setdefault(order, value)
            at = match.end()
        at = text.find(b";", at) + 1 or len(text)
    return {name: b"".join(part for _, part in sorted(of.items())) for name, of in pieces.items()}


def _unescaped(value: bytes) -> bytes:
    """An RFC 2231 extended value: ``charset'language'text`` with octets as ``%xx``."""
    if value.count(b"'") >= 2:
        value = value.split(b"'", 2)[2]
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), value)


_COMMENT = re.compile(rb"\([^()]*+\)?")


def _without_comments(value: bytes) -> bytes:
    """A token without RFC 5322 comments around it."""
    return (_COMMENT.sub(b" ", value) if b"(" in value else value).strip()


def _may_have_text(kind: bytes) -> bool:
    return kind.startswith((b"text/", b"multipart/", b"message/"))


def text_parts(content: bytes) -> Iterator[TextPart]:
    """The text parts of a mail, in order, depth first."""
    head_end, body = header.body_range(content, 0, len(content))
    yield from text_parts_below(content, header.fields(content[: min(head_end, MAX_HEADER)]), body)


def text_parts_below(
    content: bytes, fields: Iterable[tuple[bytes, bytes]], body: int
) -> Iterator[TextPart]:
    """The text parts of a mail whose header has been read: its body begins at ``body``."""
    entity = _Entity.of(fields)
    walk = _Walk(content, MAX_PARTS - 1)
    yield from walk.parts(entity, body, len(content), 0, entity.attached)


def leaves(content: bytes) -> Iterator[Leaf]:
    """All parts of a mail that hold no others, in order; an attached mail or a digest is one."""
    yield from _Walk(content, MAX_PARTS).leaves(0, len(content), 0)


class _Walk:
    """One walk over one mail. Parts are ranges of its octets: nothing is copied but leaves."""

    def __init__(self, content: bytes, parts_left: int) -> None:
        self._content = content
        self._parts_left = parts_left

    def entity(
        self, start: int, end: int, default: bytes, depth: int, attached: bool
    ) -> Iterator[TextPart]:
        """What is between ``start`` and ``end``: a header, an empty line, a body."""
        self._parts_left -= 1
        if self._parts_left < 0 or depth > MAX_DEPTH:
            return
        head_end, body = header.body_range(self._content, start, end)
        entity = _read(self._content[start : min(head_end, start + MAX_HEADER)], default)
        yield from self.parts(entity, body, end, depth, attached or entity.attached)

    def parts(
        self, entity: _Entity, body: int, end: int, depth: int, attached: bool
    ) -> Iterator[TextPart]:
        """The text parts of an entity whose header has been read."""
        if entity.kind.startswith(b"multipart/"):
            yield from self._multipart(entity, body, end, depth, attached)
        elif entity.kind == b"message/rfc822":
            yield from self.entity(body, end, b"text/plain", depth + 1, attached=True)
        elif entity.kind.startswith(b"text/"):
            yield _text(entity, self._content[body : min(end, body + MAX_PART)], attached)

    def leaves(self, start: int, end: int, depth: int) -> Iterator[Leaf]:
        """The leaves of what is between ``start`` and ``end``."""
        self._parts_left -= 1
        if self._parts_left < 0 or depth > MAX_DEPTH:
            return
        head_end, body = header.body_range(self._content, start, end)
        entity = _read(self._content[start : min(head_end, start + MAX_HEADER)])
        pieces: list[tuple[int, int]] = []
        if entity.kind.startswith(b"multipart/") and entity.kind != b"multipart/digest":
            pieces = self._pieces(entity.parameters.get(b"boundary", b""), body, end)
        for one, other in pieces:
            yield from self.leaves(one, other, depth + 1)
        if not pieces:
            placed = _parameters(entity.disposition.partition(b";")[2])
            name = placed.get(b"filename") or entity.parameters.get(b"name", b"")
            yield Leaf(entity.kind, entity.encoding, name, self._content[body:end])

    def _multipart(
        self, entity: _Entity, body: int, end: int, depth: int, attached: bool
    ) -> Iterator[TextPart]:
        pieces = self._pieces(entity.parameters.get(b"boundary", b""), body, end)
        default = b"message/rfc822" if entity.kind == b"multipart/digest" else b"text/plain"
        for start, stop in pieces:
            yield from self.entity(start, stop, default, depth + 1, attached)
        if not pieces:  # no boundary anywhere: show it all
            plain = _Entity(encoding=entity.encoding)
            yield _text(plain, self._content[body : min(end, body + MAX_PART)], attached)

    def _pieces(self, boundary: bytes, body: int, end: int) -> list[tuple[int, int]]:
        """Start and end of each body part between the boundary lines (RFC 2046 5.1.1)."""
        if not boundary:  # some mailers forget to declare it; it shows in the first line
            guess = _FIRST_BOUNDARY.match(self._content, body, end)
            if not guess:
                return []
            boundary = guess[1]
        needle = b"--" + boundary[:256]
        pieces: list[tuple[int, int]] = []
        start = -1
        at = self._content.find(needle, body, end)
        while at >= 0 and len(pieces) <= self._parts_left:
            rest = self._content[at + len(needle) : at + len(needle) + 80]
            line_starts = at == body or self._content[at - 2 : at] == b"\r\n"
            if line_starts and _BOUNDARY_TAIL.match(rest):
                if start >= 0:
                    pieces.append((start, max(start, at - 2)))
                start = self._content.find(b"\n", at, end) + 1 or end
                if rest.startswith(b"--"):
                    return pieces
            at = self._content.find(needle, at + len(needle), end)
        if 0 <= start < end and at < 0:  # cut off before its last boundary
            pieces.append((start, end))
        return pieces


_FIRST_BOUNDARY = re.compile(rb"\s{0,10}--([^\r\n]{1,70}?)[ \t]*\r\n")
_BOUNDARY_TAIL = re.compile(rb"(?:--)?[ \t]*(?:\r\n|\Z)")


def _text(entity: _Entity, octets: bytes, attached: bool) -> TextPart:
    charset = entity.parameters.get(b"charset", b"").decode("ascii", "ignore").strip()
    html = entity.kind in (b"text/html", b"application/xhtml+xml")
    return TextPart(decoded(octets, entity.encoding), charset, html, attached)


_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decoded(octets: bytes, encoding: bytes) -> bytes:
    """Undo the transfer encoding; what is not encoded after all is returned as it is."""
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding == b"base64" and not _is_prose(octets):
        return b"".join(_decoded_block(block) for block in re.split(rb"=+", octets))
    return octets


def _decoded_block(block: bytes) -> bytes:
    """Base64 up to its padding; what follows the padding is another block."""
    letters = block.translate(None, _NOT_BASE64)
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


# What prose has and base64 has not: punctuation behind a word, umlauts.
_PROSE = re.compile(rb"[a-z][.,;:!?)'\"-](?:\s|\Z)|[\x80-\xff]")


def _is_prose(octets: bytes) -> bool:
    """Whether octets that are declared as base64 are plain text: blanks, and punctuation."""
    return octets.count(b" ") * 20 > len(octets) and bool(_PROSE.search(octets))

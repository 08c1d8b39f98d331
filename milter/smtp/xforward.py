"""XFORWARD: what Postfix tells the filter about the client that it talks to.

Postfix's XFORWARD_README is the definition. The attributes are for logs and go on to the next hop
as they came; no access is ever decided by them. Values are xtext (RFC 1891), old Postfix sends them
plain; both are kept as octets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: The attributes that Postfix defines; anything else is refused.
ATTRIBUTES = (b"NAME", b"ADDR", b"PORT", b"PROTO", b"HELO", b"IDENT", b"SOURCE")
# Both limits are XFORWARD_README's own.
MAX_VALUE = 255
MAX_COMMAND = 512


def parse(argument: bytes) -> dict[bytes, bytes] | None:
    """The attributes of one XFORWARD command by name, or None where it is malformed."""
    attributes = {}
    for word in argument.split():
        name, equals, value = word.partition(b"=")
        name = name.upper()
        if not equals or name not in ATTRIBUTES or len(value) > MAX_VALUE:
            return None
        if any(octet < 0x21 or octet == 0x7F for octet in value):
            return None
        attributes[name] = value
    return attributes or None


def commands(attributes: Mapping[bytes, bytes], announced: Iterable[bytes]) -> list[bytes]:
    """The commands that hand ``attributes`` on, as far as the next hop announces them."""
    known = frozenset(announced)
    lines: list[bytes] = []
    for name in ATTRIBUTES:
        if name not in attributes or name not in known:
            continue
        word = b" " + name + b"=" + attributes[name]
        if not lines or len(lines[-1]) + len(word) + 2 > MAX_COMMAND:
            lines.append(b"XFORWARD")
        lines[-1] += word
    return lines


def client(attributes: Mapping[bytes, bytes]) -> str:
    """The remote client's address for the log: ASCII, or ``unknown``."""
    address = attributes.get(b"ADDR", b"").decode("ascii", "backslashreplace")
    return "unknown" if address in ("", "[UNAVAILABLE]") else address

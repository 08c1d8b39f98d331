"""What the SMTP tests share on octets.

Octets as people write them in tests: ``\\r \\n \\t \\0 \\\\ \\xHH`` and ``\\{5000*x}``.
"""

from __future__ import annotations

import re

from hypothesis import settings

#: Hypothesis with the same examples in every run, however slow the machine is.
steady = settings(derandomize=True, deadline=None)

_ESCAPE = re.compile(
    rb"\\(?:(?P<simple>[rnt0\\])|x(?P<hex>[0-9A-Fa-f]{2})|\{(?P<times>\d+)\*(?P<what>[^}]+)\})"
)
_SIMPLE = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def unescape(text: str) -> bytes:
    """The octets that ``text`` stands for; what is not ASCII goes as UTF-8."""
    return _ESCAPE.sub(_octets, text.encode())


def _octets(match: re.Match[bytes]) -> bytes:
    if match["simple"]:
        return _SIMPLE[match["simple"]]
    if match["hex"]:
        return bytes.fromhex(match["hex"].decode())
    return match["what"] * int(match["times"])


def without_line_ends(octets: bytes) -> bytes:
    """What is left of ``octets`` once every CRLF is gone: no CR, LF or NUL may be in it."""
    return octets.replace(b"\r\n", b"")


def has_stray(octets: bytes) -> bool:
    """Whether a bare CR, a bare LF or a NUL is among ``octets``."""
    return any(octet in without_line_ends(octets) for octet in (b"\r", b"\n", b"\0"))

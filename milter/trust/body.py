"""The hash over a mail's body that a DKIM signature holds (RFC 6376 section 3.4).

dkimpy could do it, but takes a mail of 50 MB to pieces line by line in memory, and needs time that
grows with the square of a run of blanks. Here time grows with the length, and memory does not.
"""

from __future__ import annotations

import hashlib
import re

# Octets that are put into form at once.
_PIECE = 16384
# What relaxed makes one blank of. A single blank stays as it is and costs nothing.
_BLANKS = re.compile(rb"[ \t]{2,}+|\t")
# Where a piece may end: behind an octet that is no blank, and never between CR and LF.
_CUT = re.compile(rb"[ \t]*+(?:\r\n|[^ \t]|\Z)")
_CRLF = b"\r\n"
_MANY = _CRLF * 1024  # a step for bodies with empty lines by the million


def body_hash(content: bytes, start: int, relaxed: bool, piece: int = _PIECE) -> bytes:
    """SHA-256 over the body, which begins at ``start``, in the form "relaxed" or else "simple"."""
    if relaxed:
        return _relaxed(content, start, piece)
    hasher = hashlib.sha256()
    hasher.update(memoryview(content)[start : _solid(content, start)])
    hasher.update(_CRLF)  # 3.4.3: all empty lines at the end are one, also where there is none
    return hasher.digest()


def _relaxed(content: bytes, start: int, size: int) -> bytes:
    """3.4.4: runs of blanks are one blank, at a line's end none; an empty body stays empty.

    Line ends count only if something follows, so the hash up to the last octet that did is kept.
    """
    running = hashlib.sha256()
    kept = None
    while start < len(content):
        cut = _CUT.match(content, start + size)
        assert cut, "a cut is found anywhere, if need be at the end"
        text = _BLANKS.sub(b" ", content[start : cut.end()]).replace(b" \r\n", _CRLF)
        if cut.end() == len(content):
            text = text.removesuffix(b" ")
        solid = _solid(text, 0)
        if solid:
            running.update(text[:solid])
            kept = running.copy()
        running.update(text[solid:])
        start = cut.end()
    if kept is None:
        return hashlib.sha256().digest()
    kept.update(_CRLF)
    return kept.digest()


def _solid(text: bytes, start: int) -> int:
    """Where the line ends at the end of ``text`` begin, not before ``start``."""
    end = len(text)
    for step in (_MANY, _CRLF):
        while text.endswith(step, start, end):
            end -= len(step)
    return end

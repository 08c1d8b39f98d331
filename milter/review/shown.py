"""Text made safe to show: what cannot be seen, or moves what can be, stands there as a sign.

A browser executes nothing of a text that its template escapes. What is left are characters that
turn the line round, take no room or pile up over their neighbours; each becomes ``[U+202E]``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

#: Accents on one letter that are shown: no language needs more than a handful.
_ACCENTS = 4
# Control characters but for line feed and tab; format characters (direction, zero width, tags,
# soft hyphen), fillers, line and paragraph separators, halves of surrogate pairs (UTF-7 can make
# them, and no answer could be encoded with one), and what is no character.
_ODD_ONES = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-"
    "\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Accents of the scripts that pile them; others (Thai, Hindi) are letters to their readers.
_ACCENT = (
    "\u0300-\u034e\u0350-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_ODD = re.compile(f"[{_ODD_ONES}]+|(?<=[{_ACCENT}]{{{_ACCENTS}}})[{_ACCENT}]+")
_SAME = re.compile(r"(.)\1*", re.DOTALL)
# Equal neighbours that are shown one by one.
_FEW = 3


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """The text in pieces: as shown, and for one that is a sign what it stands for (else empty)."""
    at = 0
    for match in _ODD.finditer(text):
        if match.start() > at:
            yield text[at : match.start()], ""
        for same in _SAME.finditer(match.group()):
            yield _sign(same[1], len(same[0])), _name(same[1])
        at = match.end()
    if at < len(text):
        yield text[at:], ""


def safe(text: str) -> str:
    """The text with signs in the places of what cannot be shown."""
    return "".join(shown for shown, _ in pieces(text))


def _sign(character: str, times: int) -> str:
    code = f"[U+{ord(character):04X}]"
    return code * times if times <= _FEW else f"[U+{ord(character):04X} \u00d7 {times}]"


def _name(character: str) -> str:
    return unicodedata.name(character, "control character").lower()

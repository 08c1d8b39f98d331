"""What can be done with a judged mail, and the words of the header that is the verdict's sign."""

from __future__ import annotations

from base64 import b64encode
from enum import StrEnum

from milter.mail import header
from milter.spam.verdict import Judgement

# RFC 5322 2.1.1: a line should have at most 78 characters; RFC 2047 2: an encoded word 75.
_LINE = 78
_WORD = 75


class Action(StrEnum):
    """What is done with a judged mail: a closed list for log, index and page."""

    TAG = "tag"
    TAG_SUBJECT = "tag-subject"
    QUARANTINE = "quarantine"
    NOTHING = "nothing"


def header_fields(judgement: Judgement, clues: bool = True) -> list[bytes]:
    """The header fields that tell a judgement: ASCII, folded at 78, CRLF at the end of each line.

    ``X-Coop-Verdict`` always, ``X-Coop-Clues`` where ``clues`` are wanted and there are any.
    """
    items = [str(judgement.verdict)]
    if judgement.score:
        items.append(f"score={judgement.score.fake:.2f}")
    if judgement.reason:
        items.append(f"reason={judgement.reason}")
    if judgement.asks:
        items.append("asks=" + ",".join(judgement.asks))
    if judgement.offers:
        items.append("offers=" + ",".join(judgement.offers))
    if judgement.model:
        items.append(f"model={judgement.model}")
    fields = [_folded(header.VERDICT, "; ".join(items).split(" "))]
    if clues and judgement.clues:
        words = [f"{_as_word(text)} ({weight:+.1f})" for text, weight in judgement.clues]
        fields.append(_folded(header.CLUES, ", ".join(words).split(" ")))
    return fields


def subject_prefix(text: str) -> bytes:
    """What is put before a subject, as it may stand in a header: ASCII, else RFC 2047."""
    text = " ".join(text.split())
    plain = text.isascii() and text.isprintable() and "=?" not in text
    return (text if plain else _as_word(text)).encode("ascii")


def _folded(name: bytes, words: list[str]) -> bytes:
    """A field whose lines are broken at blanks only (RFC 5322 2.2.3)."""
    lines = [name.decode("ascii") + ":"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > _LINE and lines[-1].strip():
            lines.append("")
        lines[-1] += " " + word
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def _as_word(text: str) -> str:
    """A clue as it may stand in a header: printable ASCII as it is, all else as encoded words.

    Words come from the mail, so from anybody: nothing of them may end a line, be taken for an
    encoded word of somebody else's, or make the field's own punctuation ambiguous.
    """
    text = text[:60]
    if all(" " <= c <= "~" and c not in '=?(),;"\\<>' for c in text):
        return text
    octets, pieces = b"", []
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(octets) + len(encoded) > (_WORD - len("=?utf-8?b??=")) // 4 * 3:
            pieces.append(octets)
            octets = b""
        octets += encoded
    pieces.append(octets)
    return " ".join(f"=?utf-8?b?{b64encode(piece).decode('ascii')}?=" for piece in pieces)

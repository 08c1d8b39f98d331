"""Text in its plain form and what was disguised in it, by the steps that the tokenizer takes."""

from __future__ import annotations

from milter.spam.apart import together
from milter.spam.fold import notes, plain


def fold(text: str) -> tuple[str, list[str]]:
    """Plain text, and the notes on it."""
    found = plain(text)
    joined = together(found.text)
    return joined, notes(found.invisible, found.homoglyphs, joined != found.text)

"""Text made comparable: one form for what looks the same, and a note of who tried to hide what."""

from __future__ import annotations

import re
import unicodedata

# Format characters that no reader sees: soft hyphen, zero-width ones, direction marks, BOM.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
# Cyrillic and Greek letters that look like Latin ones, for words that mix the scripts.
_LOOKALIKES = str.maketrans(
    "асԁеһіјӏорԛѕтихуԝкмнвгαενικορτυχАВСԀЕНІЈКМОРԚЅТХУԜΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "acdehijlopqstuxywkmhbraevikoptuxABCDEHIJKMOPQSTXYWABEZHIKMNOPTYX",
)
_OTHER_SCRIPT = re.compile("[\u0370-\u03ff\u0400-\u052f]")
_LETTERS = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]")
# Accents on one letter that are kept: no language needs more than a handful.
_PILE = 8
# Single letters with a blank, dot or dash between each: "b a c k l i n k".
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){4,60}[^\W\d_](?![^\W_])")


def fold(text: str) -> tuple[str, list[str]]:
    """Lower-cased text in Unicode's compatibility form, and notes of what was disguised.

    The notes are features: ``invisible`` (format characters inside words), ``homoglyphs``,
    ``spaced`` (letters set apart).
    """
    notes = []
    if not text.isascii():
        plain = _INVISIBLE.sub("", text)
        # One soft hyphen or BOM is a mailer's habit; a handful is a disguise.
        if len(text) - len(plain) > 3:
            notes.append("invisible")
        # One character can become eighteen (U+FDFA), so what was capped is capped again.
        text = unicodedata.normalize("NFKC", _without_piles(plain))[: 2 * len(plain)]
    if not text.isascii() and _OTHER_SCRIPT.search(text):
        plain = _LETTERS.sub(_latin, text)  # before lower-casing: capital Nu is an N, small nu a v
        if plain != text:
            notes.append("homoglyphs")
        text = plain
    text = text.lower()
    text, count = _SPACED.subn(lambda match: re.sub(r"[ .\-_*]", "", match.group()), text)
    if count:
        notes.append("spaced")
    return text, notes


def _without_piles(text: str) -> str:
    """Text without piles of accents: sorting them costs the square of their number."""
    accents = "".join(character for character in set(text) if _is_accent(character))
    if len(text) < _PILE or not accents:
        return text
    return re.sub(f"([{re.escape(accents)}]{{{_PILE}}})[{re.escape(accents)}]+", r"\1", text)


def _is_accent(character: str) -> bool:
    """Whether it stands on the letter before it, by itself or once it is taken apart (U+0F73)."""
    return bool(unicodedata.combining(unicodedata.normalize("NFKD", character)[0]))


def _latin(match: re.Match[str]) -> str:
    """A word that mixes Latin with look-alikes, in Latin; a word of one script as it is."""
    word = match.group()
    if word.isascii() or not (_OTHER_SCRIPT.search(word) and _LATIN.search(word)):
        return word
    return word.translate(_LOOKALIKES)

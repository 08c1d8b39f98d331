"""Text made comparable: one form for what looks the same, and a note of who tried to hide what."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

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
# Invisible characters that a mailer may have left behind.
_HANDFUL = 3
# As typed and as printed.
_APOSTROPHES = str.maketrans("’‘ʼ´", "''''")
# Accents on one letter that are kept: no language needs more than a handful.
_PILE = 8
# Single letters with a blank, dot or dash between each: "b a c k l i n k".
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W\d_][ .\-_*]){4,60}[^\W\d_](?![^\W_])")


@dataclass(frozen=True, slots=True)
class Plain:
    """Lower-cased text in Unicode's compatibility form, and what was disguised in it."""

    text: str
    invisible: int
    homoglyphs: bool


def plain(text: str) -> Plain:
    """``text`` as its reader sees it, letters set apart left as they are (``unspaced``)."""
    if text.isascii():
        return Plain(text.lower(), 0, False)
    seen = _INVISIBLE.sub("", text)
    # One character can become eighteen (U+FDFA), so what was capped is capped again.
    folded = unicodedata.normalize("NFKC", _without_piles(seen))[: 2 * len(seen)]
    folded = folded.translate(_APOSTROPHES)
    latin = folded
    if _OTHER_SCRIPT.search(folded):  # before lower-casing: capital Nu is an N, small nu a v
        latin = _LETTERS.sub(_latin, folded)
    return Plain(latin.lower(), len(text) - len(seen), latin != folded)


def unspaced(text: str) -> str:
    """Plain text with the letters of words that were set apart joined again."""
    return _SPACED.sub(lambda match: re.sub(r"[ .\-_*]", "", match.group()), text)


def notes(invisible: int, homoglyphs: bool, spaced: bool) -> list[str]:
    """What was disguised, as names: ``invisible``, ``homoglyphs``, ``spaced``.

    One soft hyphen or BOM is a mailer's habit; a handful of invisible characters is a disguise.
    """
    told = {"invisible": invisible > _HANDFUL, "homoglyphs": homoglyphs, "spaced": spaced}
    return [name for name, true in told.items() if true]


def fold(text: str) -> tuple[str, list[str]]:
    """Text in its plain form, and notes of what was disguised."""
    found = plain(text)
    joined = unspaced(found.text)
    return joined, notes(found.invisible, found.homoglyphs, joined != found.text)


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

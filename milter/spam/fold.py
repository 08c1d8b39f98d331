"""Text made comparable: one form for what looks the same, and a note of who tried to hide what."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Characters that no reader sees (Unicode's Default_Ignorable_Code_Point): soft hyphen, zero-width
# ones, direction marks, BOM, fillers, tags. Variation selectors belong to emoji; they are dropped,
# but nobody hides with them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_VARIATION = re.compile("[\ufe00-\ufe0f]")
# Cyrillic, Greek and Armenian letters that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "асԁеһіјӏорԛѕтихуԝкмнвгѵүҽьαενικορτυχηωςγϳσϲօհոսԼАВСԀЕНІЈКМОРԚЅТХУԜЬҮΑΒΕΖΗΙΚΜΝΟΡΤΥΧΣϝϹ",
    "acdehijlopqstuxywkmhbrvyebaevikoptuxnwcyjocohnuLABCDEHIJKMOPQSTXYWbYABEZHIKMNOPTYXEFC",
)
_OTHER_SCRIPT = re.compile("[\u0370-\u03ff\u0400-\u052f\u0531-\u0587]")
_LETTERS = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]")
# Invisible characters that a mailer may have left behind.
_HANDFUL = 3
# As typed and as printed.
_APOSTROPHES = str.maketrans("’‘ʼ´", "''''")
# Accents on one letter that are kept: no language needs more than a handful.
_PILE = 8


@dataclass(frozen=True, slots=True)
class Plain:
    """Lower-cased text in Unicode's compatibility form, and what was disguised in it.

    ``homoglyphs``: words that mix scripts, which stand in Latin now. ``lookalikes``: words of
    another script, all of whose letters look like Latin ones; they are left as they are.
    ``foreign``: other words of another script.
    """

    text: str
    invisible: int = 0
    homoglyphs: bool = False
    lookalikes: bool = False
    foreign: bool = False


def plain(text: str) -> Plain:
    """``text`` as its reader sees it, letters set apart left as they are (``apart``)."""
    if text.isascii():
        return Plain(text.lower())
    shown = _VARIATION.sub("", text)
    seen = _INVISIBLE.sub("", shown)
    # One character can become eighteen (U+FDFA), so what was capped is capped again.
    folded = unicodedata.normalize("NFKC", _without_piles(seen))[: 2 * len(seen)]
    folded = folded.translate(_APOSTROPHES)
    invisible = len(shown) - len(seen)
    if not _OTHER_SCRIPT.search(folded):
        return Plain(folded.lower(), invisible)
    # Before lower-casing: capital Nu is an N, small nu a v.
    words = [word for word in _LETTERS.findall(folded) if _OTHER_SCRIPT.search(word)]
    unmixed = [in_latin(word) for word in words if not _LATIN.search(word)]
    return Plain(
        _LETTERS.sub(_unmixed, folded).lower(),
        invisible,
        homoglyphs=len(unmixed) < len(words),
        lookalikes=any(not _OTHER_SCRIPT.search(word) for word in unmixed),
        foreign=any(_OTHER_SCRIPT.search(word) for word in unmixed),
    )


def in_latin(text: str) -> str:
    """Text with all letters that look like Latin ones made Latin ones."""
    return text.translate(_LOOKALIKES)


def _unmixed(match: re.Match[str]) -> str:
    """A word that mixes Latin with look-alikes, in Latin; a word of one script as it is."""
    word = match.group()
    if word.isascii() or not (_OTHER_SCRIPT.search(word) and _LATIN.search(word)):
        return word
    return in_latin(word)


def notes(invisible: int, homoglyphs: bool, spaced: bool) -> list[str]:
    """What was disguised, as names: ``invisible``, ``homoglyphs``, ``spaced``.

    One soft hyphen or BOM is a mailer's habit; a handful of invisible characters is a disguise.
    """
    told = {"invisible": invisible > _HANDFUL, "homoglyphs": homoglyphs, "spaced": spaced}
    return [name for name, true in told.items() if true]


def _without_piles(text: str) -> str:
    """Text without piles of accents: sorting them costs the square of their number."""
    accents = "".join(character for character in set(text) if _is_accent(character))
    if len(text) < _PILE or not accents:
        return text
    return re.sub(f"([{re.escape(accents)}]{{{_PILE}}})[{re.escape(accents)}]+", r"\1", text)


def _is_accent(character: str) -> bool:
    """Whether it stands on the letter before it, by itself or once it is taken apart (U+0F73)."""
    return bool(unicodedata.combining(unicodedata.normalize("NFKD", character)[0]))

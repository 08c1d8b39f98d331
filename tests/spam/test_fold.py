"""Disguised text becomes plain and is noted; honest text in any language is left alone."""

from __future__ import annotations

import pytest
from spam.folded import fold


@pytest.mark.parametrize(
    ("text", "folded", "notes"),
    [
        ("b\u0430cklink", "backlink", ["homoglyphs"]),  # Cyrillic a
        ("k\u043e\u043eperation", "kooperation", ["homoglyphs"]),
        ("g\u03c5est p\u03bfst", "guest post", ["homoglyphs"]),  # Greek
        ("BA\u0421\u041aLIN\u041a", "backlink", ["homoglyphs"]),  # Cyrillic capitals
        ("BACKLI\u039d\u039a", "backlink", ["homoglyphs"]),  # Greek capitals
        ("l\u200bi\u200bn\u200bk\u200b", "link", ["invisible"]),
        ("l\U000e0061i\u3164n\u206ak\u17b5", "link", ["invisible"]),  # tags, fillers
        ("gut \u2764\ufe0f " * 5, "gut \u2764 " * 5, []),  # emoji have variation selectors
        ("\u202el\u2060i\ufeffn\u200dk", "link", ["invisible"]),
        ("back\u00adlink", "backlink", []),
        ("g\u00ada\u00ads\u00adt\u00adpost", "gastpost", ["invisible"]),
        ("b a c k l i n k", "backlink", ["spaced"]),
        ("one l i n k here", "one link here", ["spaced"]),
        ("b.a.c.k.l.i.n.k", "backlink", ["spaced"]),
        ("B-A-C-K-L-I-N-K", "backlink", ["spaced"]),
        ("ein g a s t b e i t r a g hier", "ein gastbeitrag hier", ["spaced"]),
        ("\uff42\uff41\uff43\uff4b\uff4c\uff49\uff4e\uff4b", "backlink", []),  # full width
        ("\U0001d41b\U0001d41a\U0001d41c\U0001d424", "back", []),  # mathematical bold
        ("\ufb01ne", "fine", []),  # ligature
        ("Gru\u0308\u00dfe", "gr\u00fc\u00dfe", []),  # u and its dots apart
    ],
)
def test_disguises(text: str, folded: str, notes: list[str]) -> None:
    assert fold(text) == (folded, notes)


@pytest.mark.parametrize(
    "text",
    [
        "wir würden gern auf ihrer seite einen gastbeitrag veröffentlichen, z. b. im mai.",
        "straße, größe, übermut, ärger, öl; d. h. u. a. o. g. text",
        "l'été dernier, j'ai lu votre site: où est-ce qu'il y a un lien, ça va à tous?",
        "chcielibyśmy opublikować artykuł o żeglarstwie, a i w tym z nami: zażółć gęślą jaźń",
        "i a o, w z",
        "we would like to a b c",
        "предлагаем обмен ссылками",
        "σας προτείνουμε συνεργασία",
        "der buchstabe α und das wort мир stehen hier je für sich",
        "日本語のリンク交換",
        "",
    ],
)
def test_honest_text_is_left_alone(text: str) -> None:
    assert fold(text) == (text, [])


def test_case_goes() -> None:
    assert fold("GRÜSSE an Ihre LESER") == ("grüsse an ihre leser", [])


def test_folding_twice_changes_nothing() -> None:
    for text in ("b\u0430cklink", "b a c k l i n k", "ÉCOLE \ufb01ne", "l\u200bi\u200bn\u200bk"):
        folded, _ = fold(text)
        assert fold(folded) == (folded, [])

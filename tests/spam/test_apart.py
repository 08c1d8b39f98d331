"""Letters set apart are words again, where it can be told which."""

from __future__ import annotations

import pytest

from milter.spam.apart import together


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b a c k l i n k", "backlink"),
        ("a l i n k", "a link"),
        ("g u e s t p o s t", "guest post"),
        ("i n s e r t y o u r l i n k", "insert your link"),
        ("a s p o n s o r e d p o s t", "a sponsored post"),
        ("a d d i n g a", "adding a"),
        ("k o o p e r a t i o n s a n f r a g e", "kooperationsanfrage"),
        ("one l i n k here", "one link here"),
        ("g-u-e-s-t p-o-s-t", "guest post"),
        # What the lists do not know stays one word, though shorter words may be found in it.
        ("b e c a u s e", "because"),
        ("w e r d e n", "werden"),
        ("b e i s p i e l", "beispiel"),
        ("h e a d s t o n e", "headstone"),
        ("x q z t v w", "xqztvw"),
        # Wider gaps part words by themselves, short ones, too.
        ("q u i b  v o l t", "quib volt"),
        ("w e  w o u l d  l i k e  a  g u e s t p o s t .", "we would like a guestpost."),
        (" ".join("our site, and you"), "our site, and you"),
        (" ".join("an wen?\nihre seite"), "an wen? ihre seite"),
    ],
)
def test_letters_are_words(text: str, words: str) -> None:
    assert " ".join(together(text).split()) == words


@pytest.mark.parametrize("text", ["i a o, w z", "we would like to a b c", "no letters apart", ""])
def test_honest_text_stays(text: str) -> None:
    assert together(text) == text

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
        ("w e w o u l d l i k e t o p u b l i s h", "we would like to publish"),
        ("u n s e r e s e i t e", "unsere seite"),
        ("k o o p e r a t i o n s a n f r a g e", "kooperationsanfrage"),
        ("one l i n k here", "one link here"),
        ("g-u-e-s-t p-o-s-t", "guest post"),
        # What the lists do not know stays one word, though two and three letters may be words.
        ("h e a d s t o n e", "headstone"),
        ("n o t i c e", "notice"),
        ("x q z t v w", "xqztvw"),
        ("w e b s i t e", "website"),
        # Two blanks part two words by themselves.
        ("q u i b  v o l t", "quib volt"),
    ],
)
def test_letters_are_words(text: str, words: str) -> None:
    assert " ".join(together(text).split()) == words


@pytest.mark.parametrize("text", ["i a o, w z", "we would like to a b c", "no letters apart", ""])
def test_honest_text_stays(text: str) -> None:
    assert together(text) == text

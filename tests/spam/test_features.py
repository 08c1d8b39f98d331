"""From tokens to numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milter.mail.text import MailText
from milter.spam import features as module
from milter.spam.features import HEADS, SIZE, WORDS, Features, features, views
from milter.spam.tokens import MAX_WORDS, Tokens, tokenize

PITCH = "We offer a free guest post with one backlink to our page, 100 % at no cost to you."
OTHER = "Die Rechnung vom letzten Monat liegt bei. Grüße aus Köln, 24.12.2026"


def tokens_of(body: str, subject: str = "") -> Tokens:
    return tokenize(MailText(subject, body, "", ""))


def same(one: Features, two: Features) -> bool:
    return (
        one.ids.tolist() == two.ids.tolist()
        and one.values.tolist() == two.values.tolist()
        and one.found == two.found
    )


def named(vector: Features) -> set[str]:
    """What the features stand for; some words of a subject stand there twice."""
    return {vector.name(number) for number in range(len(vector.ids))}


def words_part(vector: Features, tokens: Tokens) -> np.ndarray:
    """The values but for those of asks, offers and notes, which come last."""
    marks = len(vector.found.ends) + len(tokens.notes)
    return vector.values[: len(vector.values) - marks]


LONG = " ".join(f"{a}{b}{c}" for a in "bdfgk" for b in "aeiou" for c in "lmnrs")


@pytest.mark.parametrize("body", [LONG, LONG * 9])
def test_the_words_part_has_length_one(body: str) -> None:
    tokens = tokens_of(body, "Hello Anna")
    assert np.linalg.norm(words_part(features(tokens), tokens)) == pytest.approx(1.0)


@pytest.mark.parametrize("body", ["one", "one two", PITCH, OTHER, "b a c k l i n k"])
def test_a_few_words_weigh_less(body: str) -> None:
    tokens = tokens_of(body, "Hello Anna")
    assert np.linalg.norm(words_part(features(tokens), tokens)) < 1.0


def test_umlauts_and_accents_count_alike_however_they_are_typed() -> None:
    one, two = tokens_of("Über Größe, Café"), tokens_of("Ueber Groesse, Cafe")
    assert features(one).ids.tolist() == features(two).ids.tolist()


@pytest.mark.parametrize("figures", ["42 100 7", "1.1.2026 2026-01-01", "5 % 20 %"])
def test_figures_count_in_pairs_only(figures: str) -> None:
    vector = features(tokens_of(figures))
    assert named(vector)
    assert all(" " in name for name in named(vector))


def test_a_long_mail_is_seen_by_its_beginnings_too() -> None:
    padded = tokens_of(
        f"{PITCH} " + " ".join(f"harmless {'x' * at} word" for at in range(MAX_WORDS))
    )
    whole, *heads = views(padded)
    assert padded.longer
    assert len(heads) == len(HEADS)
    assert [len(view.ids) for view in heads] == sorted(len(view.ids) for view in heads)
    short = features(Tokens([], padded.body[: HEADS[0]], [], []))
    assert sorted(heads[0].ids.tolist()) == sorted(short.ids.tolist())
    assert heads[0].values.sum() == pytest.approx(short.values.sum())
    assert set(heads[-1].ids.tolist()) < set(whole.ids.tolist())


def test_the_views_side_by_side_are_the_views() -> None:
    """Choosing one among them, and learning from them, must see the same numbers."""
    padded = tokens_of(f"{PITCH} " * 9 + LONG * 9, "A free guest post")
    whole = module.named(padded)
    side_by_side = np.zeros((1 + len(HEADS), len(whole.ids)))
    for row, view in zip(side_by_side, views(padded), strict=True):
        row[view.at] = view.values
    assert whole.dense() == pytest.approx(side_by_side)


def test_a_short_mail_has_one_view() -> None:
    (view,) = views(tokens_of(PITCH))
    assert same(view, features(tokens_of(PITCH)))


def test_marks_weigh_more_than_words() -> None:
    tokens = tokens_of(PITCH)
    vector = features(tokens)
    assert vector.found.asks
    assert vector.values[-1] > max(words_part(vector, tokens))


def test_repetition_changes_nothing() -> None:
    assert same(features(tokens_of("tea tea tea")), features(tokens_of("tea tea tea tea tea")))


def test_mails_before_do_not_matter() -> None:
    first = features(tokens_of(PITCH))
    for number in range(50):
        features(tokens_of(f"{OTHER} unrelated{'x' * number}"))
    assert same(features(tokens_of(PITCH)), first)


def test_a_word_of_the_subject_is_a_word_of_the_mail_and_more() -> None:
    subject = set(features(Tokens(["word"], [], [], [])).ids.tolist())
    assert subject > set(features(Tokens([], ["word"], [], [])).ids.tolist())


def test_quoted_words_are_not_the_mails_own() -> None:
    alone, quoting = Tokens([], ["word"], [], []), Tokens([], ["word"], ["quoted"] * 9, [])
    assert same(features(alone), features(quoting))


@pytest.mark.parametrize(
    "body",
    ["", "xqzzt", "日本語 слово λέξη", "\ud800 lone surrogate", "a" * 20000, "\U0001f600 \u0301"],
)
def test_unknown_words_survive(body: str) -> None:
    vector = features(tokens_of(body))
    assert np.isfinite(vector.values).all()
    assert ((vector.ids >= 0) & (vector.ids < SIZE)).all()


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.text(min_size=1, max_size=12), max_size=40))
def test_any_words_give_sound_features_with_names(words: list[str]) -> None:
    tokens = Tokens(words[:3], words[3:], words[:2], ["hidden"])
    vector = features(tokens)
    assert len(vector.ids) == len(vector.values)
    assert ((vector.ids >= 0) & (vector.ids < SIZE)).all()
    assert all(vector.name(number) for number in range(len(vector.ids)))


def test_names_are_the_words() -> None:
    vector = features(tokens_of("dear gardener"))
    assert named(vector) == {"dear", "gardener", "dear gardener", "garden-"}


def test_names_of_the_subjects_words() -> None:
    tokens = Tokens(["a", "gardening", "question"], ["for", "us"], [], ["spaced"])
    assert named(features(tokens)) == {
        *("a", "gardening", "question", "a gardening", "gardening question", "garden-", "questi-"),
        "a gardening question",
        *("for", "us", "for us", "note spaced"),
    }


PROGRAM = f"""
from milter.mail.text import MailText
from milter.spam.features import features
from milter.spam.tokens import tokenize
vector = features(tokenize(MailText({OTHER!r}, {PITCH!r}, "", "")))
print(vector.ids.tolist(), vector.values.tolist(), vector.found)
"""


def test_processes_agree_whatever_their_hash_seed() -> None:
    """A model is fitted in one process and used in another."""
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(said) == 1


def test_what_is_told_of_a_sender_is_no_words_weight() -> None:
    """Senders have features of their own, each of weight 1 in a mail of any length."""
    words = [f"word{number}" for number in range(200)]
    tokens = Tokens(["hello"], words, [], ["spaced"], longer=True, sender="a.example")
    whole, *heads = views(tokens)
    short = features(replace(tokens, body=words[:1]))
    for view in (whole, *heads, short):
        sent = view.ids >= WORDS
        assert [view.name(int(number)) for number in np.flatnonzero(sent)] == ["sender a.example"]
        assert (view.values[sent] == 1).all()
        assert (view.values[~sent] < 1).all()
    assert (whole.named.dense()[:, -1] == 1).all()

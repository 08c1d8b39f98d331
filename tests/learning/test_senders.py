"""Who sent what was filed as a pitch is believed less from then on; nobody else is, or more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from learning.retraining import SETTINGS, pitch, wanted_mail

from milter.mail.text import read_text
from milter.spam.bundle import LABELS, Thresholds
from milter.spam.features import SIZE, features
from milter.spam.tokens import tokenize
from training.data import FEEDBACK, Example, read_corpus
from training.fit import Fitted, fit_views, read_examples
from training.senders import with_senders
from training.vectorize import read_views

pytest_plugins = ["learning.fixtures"]

CAMPAIGN = "klebealbum.example"


def sent_by(content: bytes, domain: str) -> bytes:
    lines = content.split(b"\r\n")
    return b"\r\n".join([b"From: A <a@" + domain.encode() + b">", *lines[1:]])


def pitches(number: int, domain: str) -> list[Example]:
    names = [f"{FEEDBACK}fake/{i:02}" for i in range(number)]
    return [
        Example(name, "fake", "de", name, sent_by(pitch(i), domain)) for i, name in enumerate(names)
    ]


@pytest.fixture(scope="module")
def base(corpus: Path) -> list[Example]:
    return read_corpus(corpus)


@pytest.fixture(scope="module")
def model(base: list[Example]) -> Fitted:
    """It has learned ten pitches, and who sent them."""
    examples = [*base, *pitches(10, CAMPAIGN)]
    views = read_examples(examples)
    return fit_views(views, examples, SETTINGS, senders=frozenset({CAMPAIGN, "a@gmail.com"}))


def fake_of(model: Fitted, content: bytes) -> float:
    return float(model.probabilities([content])[0, LABELS.index("fake")])


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_a_sender_is_a_feature_of_the_mail() -> None:
    vector = features(tokenize(read_text(sent_by(wanted_mail(), CAMPAIGN))))
    names = [vector.name(number) for number in range(len(vector.ids))]
    assert f"sender {CAMPAIGN}" in names


def test_words_are_learned_without_senders(base: list[Example]) -> None:
    """Those of the corpus are invented; the filter sees one feature more in each mail."""
    some = base[:50]
    senders = sum(bool(read_text(example.content).sender) for example in some)
    assert senders
    seen = read_views(example.content for example in some).whole.nnz
    assert read_examples(some).whole.nnz == seen - senders


@pytest.mark.parametrize(
    "also", [b"", b"Reply-To: b@klebealbum.example\r\n", b"Cc: a@gmail.com\r\n"]
)
def test_their_mail_is_fake_where_it_would_be_unsure(model: Fitted, also: bytes) -> None:
    """By as much as there is from unsure to fake, whatever else the header says."""
    known, stranger = (also + sent_by(wanted_mail(), name) for name in (CAMPAIGN, "other.example"))
    if b"Reply-To" in also:
        stranger = stranger.replace(b"b@klebealbum", b"b@other")
    more = odds(fake_of(model, known)) / odds(fake_of(model, stranger))
    between = odds(model.thresholds.fake) / odds(model.thresholds.unsure)
    assert more == pytest.approx(between, rel=2e-3)
    assert more >= between * (1 - 1e-9)


def test_wanted_mail_of_theirs_stays_wanted(model: Fitted) -> None:
    """Ten pitches in somebody's name do not make their letters pitches."""
    assert fake_of(model, sent_by(wanted_mail(), CAMPAIGN)) < model.thresholds.unsure


def test_an_address_at_a_provider_is_one_sender(model: Fitted) -> None:
    said = wanted_mail()
    same, other = (
        said.replace(b"praxis@zahnarzt.example", at + b"@gmail.com") for at in (b"a", b"b")
    )
    assert fake_of(model, same) > fake_of(model, other) == fake_of(model, said)


@pytest.mark.parametrize(
    ("fake", "unsure"), [(0.93, 0.65), (0.9999, 0.65), (0.93, 0.0001), (1.0, 0.0), (0.5, 0.5)]
)
def test_any_thresholds_give_a_weight(fake: float, unsure: float) -> None:
    weights = np.zeros((SIZE, len(LABELS)), np.int16)
    told = with_senders(weights, {CAMPAIGN}, Thresholds(fake, unsure, 0.5), 5e-4)
    changed = np.argwhere(told)
    assert len(changed) == (fake != unsure)
    if fake < 1 and unsure > 0 and fake != unsure:
        more = np.exp(told.max() * 5e-4)
        assert more == pytest.approx(odds(fake) / odds(unsure), rel=1e-3)
    assert not weights.any()

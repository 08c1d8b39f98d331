"""Who sent what was filed as a pitch is believed less from then on; nobody else is, or more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from learning.retraining import SETTINGS, pitch, wanted_mail

from milter.mail.text import read_text
from milter.spam.bundle import LABELS
from milter.spam.features import features
from milter.spam.tokens import tokenize
from training.data import FEEDBACK, Example, read_corpus
from training.fit import Fitted, fit_views, read_examples
from training.senders import senders_of_pitches
from training.vectorize import read_views

pytest_plugins = ["learning.fixtures"]

CAMPAIGN = "klebealbum.example"


def sent_by(content: bytes, domain: str) -> bytes:
    lines = content.split(b"\r\n")
    return b"\r\n".join([b"From: A <a@" + domain.encode() + b">", *lines[1:]])


def filed(label: str, number: int, content: bytes) -> Example:
    name = f"{FEEDBACK}{label}/{number:02}"
    return Example(name, label, "de", f"{FEEDBACK}{number:02}", content)


def pitches(number: int, domain: str) -> list[Example]:
    return [filed("fake", i, sent_by(pitch(i), domain)) for i in range(number)]


@pytest.fixture(scope="module")
def base(corpus: Path) -> list[Example]:
    return read_corpus(corpus)


def model_of(base: list[Example], feedback: list[Example]) -> Fitted:
    examples = [*base, *feedback]
    return fit_views(read_examples(examples), examples, SETTINGS)


def fake_of(model: Fitted, content: bytes) -> float:
    return float(model.probabilities([content])[0, LABELS.index("fake")])


def test_a_sender_is_a_feature_of_the_mail() -> None:
    vector = features(tokenize(read_text(sent_by(wanted_mail(), CAMPAIGN))))
    names = [vector.name(number) for number in range(len(vector.ids))]
    assert f"sender {CAMPAIGN}" in names


def test_whose_mail_is_filed_as_fake_only() -> None:
    feedback = [
        filed("fake", 1, sent_by(pitch(1), CAMPAIGN)),
        filed("fake", 2, sent_by(pitch(2), "zahnarzt.example")),
        filed("none", 3, wanted_mail()),
        filed("genuine", 4, sent_by(wanted_mail(), "messe.example")),
    ]
    assert senders_of_pitches(feedback) == {CAMPAIGN}


def test_senders_in_the_corpus_are_nobody(base: list[Example]) -> None:
    """They are invented; the filter, for which anybody may be somebody, sees one feature more."""
    assert senders_of_pitches(base) == frozenset()
    some = base[:50]
    senders = sum(len(read_text(example.content).senders) for example in some)
    assert senders
    seen = read_views(example.content for example in some).whole.nnz
    assert read_examples(some).whole.nnz == seen - senders


@pytest.mark.parametrize("number", [1, 10])
def test_a_site_that_sent_a_pitch_is_believed_less(base: list[Example], number: int) -> None:
    """By as much as there is from unsure to fake, however many are filed."""
    model = model_of(base, pitches(number, CAMPAIGN))
    known, stranger = (sent_by(wanted_mail(), name) for name in (CAMPAIGN, "other.example"))
    more = odds(fake_of(model, known)) / odds(fake_of(model, stranger))
    between = odds(model.thresholds.fake) / odds(model.thresholds.unsure)
    assert more == pytest.approx(between, rel=1e-3)


def odds(probability: float) -> float:
    return probability / (1 - probability)


def test_wanted_mail_of_that_site_stays_wanted(base: list[Example]) -> None:
    """Ten pitches in somebody's name do not make their letters pitches."""
    model = model_of(base, pitches(10, "zahnarzt.example"))
    assert fake_of(model, wanted_mail()) < model.thresholds.unsure


def test_an_address_at_a_provider_is_one_sender(base: list[Example]) -> None:
    model = model_of(base, [filed("fake", 1, sent_by(pitch(1), "gmail.com"))])
    same, other = (
        pitch(7).replace(b"a@album7.example", at) for at in (b"a@gmail.com", b"b@gmail.com")
    )
    assert fake_of(model, same) > fake_of(model, other)
    assert fake_of(model, other) == fake_of(model, pitch(7))


def test_one_wanted_mail_clears_a_site(base: list[Example]) -> None:
    feedback = [*pitches(4, CAMPAIGN), filed("none", 9, sent_by(wanted_mail(), CAMPAIGN))]
    model = model_of(base, feedback)
    other = sent_by(pitch(7), "other.example")
    assert fake_of(model, sent_by(pitch(7), CAMPAIGN)) == pytest.approx(fake_of(model, other))


def test_no_sender_speaks_for_a_mail(base: list[Example]) -> None:
    """Whoever writes in the name of those whose mail is wanted gains nothing by it."""
    feedback = [filed("none", i, sent_by(wanted_mail(), "amt.example")) for i in range(5)]
    model = model_of(base, feedback)
    forged, plain = sent_by(pitch(3), "amt.example"), sent_by(pitch(3), "other.example")
    assert np.isclose(fake_of(model, forged), fake_of(model, plain))

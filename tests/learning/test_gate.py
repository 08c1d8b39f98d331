"""The gate: each check lets good candidates pass, and tells why it holds a bad one back."""

from __future__ import annotations

import numpy as np
import pytest
from learning.retraining import WHOLE

from milter.spam.bundle import Thresholds
from training import gate
from training.compare import Judgements, newest, tally
from training.data import Example
from training.fit import FitSettings

LIMITS = Thresholds(fake=0.9, unsure=0.5, genuine=0.5)


def example(label: str, name: str = "a", language: str = "de") -> Example:
    return Example(f"{label}/{language}/x/{name}", label, language, f"{label}/x", b"")


def judgements(*verdicts: str) -> Judgements:
    return Judgements(np.zeros((len(verdicts), 3)), np.array(verdicts))


def test_the_budget_of_false_positives() -> None:
    examples = [example("none", str(i)) for i in range(3000)]
    scores = np.zeros((3000, 3))
    scores[:, 0] = 0.1
    assert gate.budget(examples, scores, LIMITS, FitSettings()).passed
    scores[:30, 0] = 0.95
    check = gate.budget(examples, scores, LIMITS, FitSettings())
    assert not check.passed
    assert "30 are called fake" in check.told


@pytest.mark.parametrize(
    ("label", "before", "after", "passed"),
    [
        ("none", "none", "none", True),
        ("none", "unsure", "fake", False),
        ("none", "fake", "fake", False),  # it was filed as none for just that reason
        ("genuine", "genuine", "fake", False),
        ("genuine", "fake", "fake", True),  # not newly
        ("fake", "none", "fake", True),
    ],
)
def test_wanted_mails_of_the_owner(label: str, before: str, after: str, passed: bool) -> None:
    check = gate.corrections([example(label)], judgements(before), judgements(after))
    assert check.passed == passed
    assert passed or f"{label}/de/x/a" in check.told


@pytest.mark.parametrize(
    ("mails", "before", "after", "passed"),
    [
        (200, 100, 85, True),  # not more than eight in a hundred
        (200, 100, 82, False),
        (30, 10, 8, True),  # more than that, and yet nothing but chance
        (30, 20, 10, False),
    ],
)
def test_no_language_falls(mails: int, before: int, after: int, passed: bool) -> None:
    examples = [example("fake", str(i)) for i in range(mails)]
    old, new = (
        np.array(["fake"] * right + ["none"] * (mails - right)) for right in (before, after)
    )
    check = gate.floor(gate.parts(examples, old, new))
    assert check.passed == passed
    assert f"{after} of {mails} found" in check.told


def test_one_language_falls_behind_the_others() -> None:
    examples = [example("fake", str(i), "de") for i in range(500)]
    examples += [example("fake", str(i), "en") for i in range(40)]
    old = np.array(["fake"] * 540)
    new = np.array(["fake"] * 500 + ["none"] * 40)
    check = gate.floor(gate.parts(examples, old, new))
    assert "fake in en: 0 of 40" in check.told
    assert not check.passed


def test_the_regression_set_is_of_the_corpus() -> None:
    listed = gate.read_regression()
    assert len(listed) >= 80
    assert set(listed.values()) == {"fake", "genuine", "none"}
    for name, label in listed.items():
        assert (WHOLE / name).is_file(), f"{name} is in regression.txt and not in the corpus"
        assert name.startswith(f"{label}/")


def test_a_mail_of_the_regression_set_turns_round() -> None:
    name, label = next(iter(gate.read_regression().items()))
    examples = [Example(name, label, "de", "x", b"")]
    assert gate.regression(examples, np.array([label])).passed
    check = gate.regression(examples, np.array(["unsure"]))
    assert not check.passed
    assert f"{name}: unsure, not {label}" in check.told


def test_the_newest_corrections() -> None:
    labels = np.array(["fake"] * 4 + ["none"])
    same = judgements("fake", "none", "none", "none", "none")
    better = judgements("fake", "fake", "unsure", "none", "none")
    assert gate.held_out(labels, same, same).passed
    assert gate.held_out(labels, same, better).passed
    assert not gate.held_out(labels, better, same).passed
    costly = judgements("fake", "fake", "fake", "fake", "fake")
    assert not gate.held_out(labels, better, costly).passed
    few = gate.held_out(labels[:2], same.of(np.arange(2)), better.of(np.arange(2)))
    assert few.passed
    assert "Too few" in few.told


def test_which_are_the_newest() -> None:
    assert newest([5.0] * 9).tolist() == []
    assert newest([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]).tolist() == [0, 1, 2, 3, 4]
    assert len(newest(list(range(100)))) == 20


def test_won_tied_lost() -> None:
    labels = np.array(["fake", "fake", "none", "genuine"])
    before = np.array(["none", "fake", "fake", "genuine"])
    after = np.array(["unsure", "none", "unsure", "genuine"])
    found = tally(labels, before, after)
    assert (found.won, found.tied, found.lost) == (2, 1, 1)

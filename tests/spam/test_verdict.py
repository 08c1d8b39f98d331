"""Score, then verdict: half-open ranges."""

from __future__ import annotations

import numpy as np
import pytest
from spam.tiny import FAKE, GENUINE, NONE

from milter.mail.text import read_text
from milter.spam.bundle import Bundle, Thresholds
from milter.spam.tokens import Tokens, tokenize
from milter.spam.verdict import (
    CLUES,
    Reason,
    Score,
    Verdict,
    decide,
    judge,
    probabilities,
)

THRESHOLDS = Thresholds(fake=0.9, unsure=0.4, genuine=0.5)


@pytest.mark.parametrize(
    ("fake", "genuine", "none", "verdict"),
    [
        (1.00, 0.00, 0.00, Verdict.FAKE),
        (0.90, 0.05, 0.05, Verdict.FAKE),
        (0.8999, 0.1001, 0.0, Verdict.UNSURE),
        (0.40, 0.60, 0.00, Verdict.UNSURE),
        (0.3999, 0.6001, 0.0, Verdict.GENUINE),
        (0.00, 0.51, 0.49, Verdict.GENUINE),
        (0.00, 0.50, 0.50, Verdict.NONE),
        (0.01, 0.50, 0.49, Verdict.GENUINE),
        (0.20, 0.49, 0.31, Verdict.NONE),
        (0.39, 0.30, 0.31, Verdict.NONE),
        (0.00, 0.00, 1.00, Verdict.NONE),
    ],
)
def test_half_open_ranges(fake: float, genuine: float, none: float, verdict: Verdict) -> None:
    assert decide(Score(fake, genuine, none), THRESHOLDS) is verdict


def test_equal_thresholds_leave_nothing_unsure() -> None:
    thresholds = Thresholds(fake=0.5, unsure=0.5, genuine=0.5)
    assert decide(Score(0.5, 0.5, 0.0), thresholds) is Verdict.FAKE
    assert decide(Score(0.49, 0.0, 0.51), thresholds) is Verdict.NONE


@pytest.mark.parametrize("logits", [[0, 0, 0], [900, -900, 0], [-1e5, 1e5, 1e5]])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_probabilities_add_up(logits: list[float], temperature: float) -> None:
    score = probabilities(np.array(logits, dtype=np.float64), temperature)
    assert score.fake + score.genuine + score.none == pytest.approx(1.0)
    assert min(score.fake, score.genuine, score.none) >= 0


def test_temperature_cools() -> None:
    logits = np.array([2.0, 0.0, 0.0])
    assert probabilities(logits, 0.5).fake > probabilities(logits, 2.0).fake


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(FAKE, Verdict.FAKE), (GENUINE, Verdict.GENUINE), (NONE, Verdict.NONE)],
)
def test_the_heaviest_word_decides(content: bytes, verdict: Verdict, bundle: Bundle) -> None:
    judgement = judge(tokenize(read_text(content)), bundle)
    assert judgement.verdict is verdict
    assert judgement.model == bundle.version
    assert judgement.reason is None


def test_clues_are_the_heaviest_first(bundle: Bundle) -> None:
    clues = judge(tokenize(read_text(FAKE)), bundle).clues
    assert 0 < len(clues) <= CLUES
    weights = [abs(weight) for _, weight in clues]
    assert weights == sorted(weights, reverse=True)
    assert "backlink" in {text for text, _ in clues}


@pytest.mark.parametrize(("words", "scored"), [(3, False), (4, True)])
def test_too_little_text(words: int, scored: bool, bundle: Bundle) -> None:
    judgement = judge(Tokens(["a"], ["b"] * (words - 1), ["quoted"] * 9, []), bundle)
    assert (judgement.score is not None) is scored
    assert judgement.reason is (None if scored else Reason.TOO_LITTLE_TEXT)

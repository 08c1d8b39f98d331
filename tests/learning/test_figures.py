"""Figures of an evaluation are what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from milter.spam.bundle import LABELS
from milter.spam.verdict import Verdict
from training.evaluate import wording
from training.evaluate.measure import Judged, by_threshold, measure, misses, rate, together


def judged(
    fakes: list[float], wanted: list[float], threshold: float = 0.9, unscored: int = 0
) -> Judged:
    """Mails by their p(fake); the wanted ones are ``none``, ``unscored`` fakes come on top."""
    fake = np.array([*fakes, *wanted, *[np.nan] * unscored])
    labels = ["fake"] * len(fakes) + ["none"] * len(wanted) + ["fake"] * unscored
    verdicts = np.where(fake >= threshold, Verdict.FAKE, Verdict.NONE)
    return Judged(
        names=np.array([f"{i:04}.eml" for i in range(len(fake))]),
        labels=np.array(labels),
        languages=np.array(["de", "en"] * len(fake))[: len(fake)],
        verdicts=np.where(np.isnan(fake), Verdict.UNSCORED, verdicts),
        probabilities=np.stack([fake, np.zeros_like(fake), 1 - fake], axis=1),
    )


def test_figures_by_hand() -> None:
    found = measure(judged([0.96, 0.86, 0.2], [0.91, 0.1, 0.1, 0.0], unscored=1), errors=9)
    assert (found["mails"], found["unscored"]) == (8, 1)
    fake = found["labels"]["fake"]
    assert fake["recall"] | {"low": 0, "high": 0} == {"mails": 4, "count": 1, "low": 0, "high": 0}
    assert fake["verdicts"] == {"fake": 1, "unsure": 0, "genuine": 0, "none": 2, "unscored": 1}
    assert found["labels"]["none"]["verdicts"]["fake"] == 1
    assert (found["false_positives"]["count"], found["false_positives"]["mails"]) == (1, 4)
    # Of 16 pairs, the wanted one ranks above the fake in 1 + 1 + 4.
    assert found["roc"]["one_minus_area_percent"] == pytest.approx(100 * 6 / 16)
    assert found["calibration"]["mails"] == 7
    assert found["histogram"] == {
        "fake": [0] * 4 + [1] + [0] * 12 + [1, 0, 1],
        "none": [1, 0, 2] + [0] * 15 + [1, 0],
    }
    assert [error["name"] for error in found["errors"]] == [
        *("0003.eml", "0002.eml", "0001.eml"),
        "0007.eml",
    ]
    assert found["errors"][3]["score"] is None


def test_figures_as_scikit_learn_has_them() -> None:
    random = np.random.default_rng(1)
    rows = random.dirichlet((1, 1, 1), 500)
    labels = np.array([random.choice(LABELS, p=row) for row in rows])
    verdicts = np.where(rows[:, 0] >= 0.5, "fake", "none")
    names = np.arange(500).astype(str)
    found = measure(Judged(names, labels, np.full(500, "de"), verdicts, rows))
    fake = labels == "fake"
    assert found["roc"]["one_minus_area_percent"] == round(
        100 * (1 - roc_auc_score(fake, rows[:, 0])), 4
    )
    assert found["calibration"]["log_loss"] == round(log_loss(labels, rows), 4)
    assert found["calibration"]["brier"] == round(brier_score_loss(fake, rows[:, 0]), 4)
    assert sum(row["mails"] for row in found["calibration"]["bins"]) == 500
    assert found["calibration"]["expected_error"] < 0.1


def test_calibration_error_by_hand() -> None:
    found = measure(judged([0.95, 0.95, 0.05], [0.95, 0.05, 0.05]))["calibration"]
    first, last = found["bins"]
    assert (first["mails"], first["count"], last["mails"], last["count"]) == (3, 1, 3, 2)
    assert found["expected_error"] == round(0.5 * (1 / 3 - 0.05) + 0.5 * (0.95 - 2 / 3), 4)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0, 0.3085), (10, 10, 0.6915, 1), (1, 10, 0.0025, 0.445), (0, 3000, 0, 0.0012)],
)
def test_intervals_of_the_tables(k: int, n: int, low: float, high: float) -> None:
    expected = {"mails": n, "count": k, "low": low, "high": high}
    assert rate(np.arange(n) < k) == expected


def test_misses_at_one_in_a_thousand() -> None:
    wanted = [i / 4000 for i in range(3000)]  # three may be called fake: 0.7495 and up
    found = misses(judged([0.7488, 0.749, 0.7491, 0.9], wanted))
    assert found
    assert (found["allowed"], found["resolved"], found["above"]) == (3, True, 0.749)
    assert found["missed"]["count"] == 2
    few = misses(judged([0.5, 0.9], [0.1, 0.6], unscored=1))
    assert few
    assert (few["allowed"], few["resolved"], few["above"]) == (0, False, 0.6)
    assert few["missed"]["count"] == 2
    figures = {"misses": few}
    assert wording.missed(figures).startswith("not to be had: only 2 wanted mails;")


def test_shares_that_reach_a_threshold() -> None:
    rows = by_threshold(judged([0.5, 0.9], [0.1, 0.5], unscored=2))
    assert rows[0] == {"threshold": 0.0, "fake": 0.5, "wanted": 1.0}
    assert rows[50] == {"threshold": 0.5, "fake": 0.5, "wanted": 0.5}
    assert rows[51] == {"threshold": 0.51, "fake": 0.25, "wanted": 0.0}


@pytest.mark.parametrize(("fakes", "wanted"), [([0.9, 0.2], []), ([], [0.9, 0.2])])
def test_a_set_of_one_label_tells_what_it_can(fakes: list[float], wanted: list[float]) -> None:
    found = measure(judged(fakes, wanted))
    assert found["roc"] is None
    assert found["misses"] is None
    assert found["calibration"]["brier"] > 0
    assert (found["false_positives"] is None) == bool(fakes)
    assert wording.headlines(found)


def test_a_set_without_any_score() -> None:
    found = measure(judged([], [], unscored=2))
    assert found["calibration"] is None
    assert found["histogram"] == {}
    assert found["labels"]["fake"]["verdicts"]["unscored"] == 2


def test_sets_together_are_their_mails() -> None:
    one, two = judged([0.95, 0.5], [0.1]), judged([0.2], [0.93, 0.3])
    whole = measure(together([one, two]))
    assert whole["mails"] == 6
    assert whole["false_positives"]["count"] == 1
    assert whole["labels"]["fake"]["recall"]["mails"] == 3


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.0013, "0.13 %"), (0.042, "4.2 %"), (0.87, "87 %"), (0.9987, "99.87 %")],
)
def test_shares_in_words(share: float, words: str) -> None:
    assert wording.percent(share) == words

"""A bundle that is whole but absurd is refused; a small honest one passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spam import tiny

from milter.errors import BundleError
from milter.spam.bundle import LABELS, arrays_to_bytes, open_bundle, open_models
from milter.spam.proof import canaries, open_proved, open_proved_models


def written(folder: Path, facts: dict[str, Any] | None = None, **arrays: Any) -> Path:
    """A bundle with some arrays and facts exchanged; it opens."""
    octets = arrays_to_bytes(tiny.arrays() | arrays)
    open_bundle(tiny.write_bundle(folder, octets, **(facts or {})))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_proved(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def test_a_small_honest_model_passes(tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path)
    assert open_proved_models(models).version == tiny.NAME
    assert open_proved(models / tiny.NAME).version == tiny.NAME


def test_canaries_are_in_both_languages_and_have_text_enough() -> None:
    assert {kind: len(mails) for kind, mails in canaries().items()} == {"wanted": 11, "pitch": 4}
    for mail in (mail for mails in canaries().values() for mail in mails):
        assert mail.tokens.count >= 15, mail.subject


@pytest.mark.parametrize(
    ("intercept", "reason"),
    [
        ([9.0, 0, 0], "calls an ordinary mail fake ('Rechnung"),
        ([0, 0, 99.0], "certain that the plainest of pitches is nothing ('Gastartikel"),
        ([0, 0, 1e4], "heaviest weight is 1e+04"),
        ([0, -1e300, 0], "heaviest weight"),
    ],
)
def test_intercept(tmp_path: Path, intercept: list[float], reason: str) -> None:
    assert reason in refused(written(tmp_path / "b", intercept=np.array(intercept)))


@pytest.mark.parametrize(
    ("scale", "reason"),
    [
        (0.0, "no more fake than ordinary"),
        (-0.02, "no more fake than ordinary"),
        (5.0, "heaviest weight is 5e+03"),
        (1e308, "heaviest weight is inf"),
    ],
)
def test_scale(tmp_path: Path, scale: float, reason: str) -> None:
    assert reason in refused(written(tmp_path / "b", scale=np.array(scale)))


def test_weights_of_another_order_of_labels(tmp_path: Path) -> None:
    weights = tiny.arrays()["weights"][:, ::-1]
    assert "is refused" in refused(written(tmp_path / "b", weights=weights))


def test_the_least_integer(tmp_path: Path) -> None:
    """Its absolute does not fit into 16 bits."""
    weights = tiny.arrays()["weights"]
    weights[7, LABELS.index("none")] = -32768
    assert open_proved(written(tmp_path / "b", weights=weights, scale=np.array(0.03)))
    folder = written(tmp_path / "c", weights=weights, scale=np.array(0.04))
    assert "heaviest weight" in refused(folder)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"too_little": 10**6}, "does not judge an ordinary mail"),
        ({"temperature": 1e-9}, "heaviest weight"),
        (
            {"thresholds": {"fake": 0.01, "unsure": 0.01, "genuine": 0.5}},
            "calls an ordinary mail fake",
        ),
    ],
)
def test_facts(tmp_path: Path, facts: dict[str, Any], reason: str) -> None:
    assert reason in refused(written(tmp_path / "b", facts))


def test_the_published_one_is_proved(tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path)
    written(models / tiny.NAME, intercept=np.array([9.0, 0, 0]))
    assert open_models(models).version == tiny.NAME
    with pytest.raises(BundleError, match=f"model {tiny.NAME} is refused"):
        open_proved_models(models)

"""Fitted models made by hand: quick, and whole enough to be written and published."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from spam import tiny

from milter.spam.bundle import LABELS, Thresholds
from training.data import Example
from training.fit import FitSettings, Fitted

SETTINGS = FitSettings()
_MAILS = {"fake": tiny.FAKE, "genuine": tiny.GENUINE, "none": tiny.NONE}


def examples() -> list[Example]:
    """Two mails a label."""
    dated = b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    return [
        Example(f"{label}/en/a/{i}.eml", label, "en", f"{label}/a", dated + content)
        for label, content in _MAILS.items()
        for i in range(2)
    ]


def fitted(temperature: float = 1.0, **changed: Any) -> Fitted:
    """The tiny model; another ``temperature`` is another version."""
    arrays = tiny.arrays() | changed
    rows = [np.eye(3)[LABELS.index(example.label)] for example in examples()]
    return Fitted(
        learner=cast(Any, None),
        weights=arrays["weights"],
        scale=float(arrays["scale"]),
        intercept=arrays["intercept"],
        temperature=temperature,
        thresholds=Thresholds(fake=0.9, unsure=0.5, genuine=0.5),
        out_of_fold=np.array(rows) * 0.9 + 0.1 / 3,
    )

"""How good a model is: figures from mails that it has not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.metrics import log_loss, roc_auc_score

from milter.spam.bundle import LABELS, Thresholds
from milter.spam.verdict import Score, Verdict, decide
from training.data import Example, hard_cases

_VERDICTS = (Verdict.FAKE, Verdict.UNSURE, Verdict.GENUINE, Verdict.NONE)


def figures(
    examples: list[Example], probabilities: NDArray[np.float64], thresholds: Thresholds
) -> dict[str, Any]:
    """Figures for ``probabilities`` (n, 3) that were found without the examples' own themes."""
    labels = np.array([example.label for example in examples])
    hard = hard_cases(examples)
    verdicts = np.array([decide(Score(*row), thresholds) for row in probabilities.tolist()])
    languages = sorted({example.language for example in examples})
    spoken = np.array([example.language for example in examples])
    return {
        "mails": len(examples),
        "themes": len({example.group for example in examples}),
        "log_loss": _rounded(log_loss(labels, probabilities, labels=list(LABELS))),
        "one_minus_auc_percent": _rounded(
            100 * (1 - roc_auc_score(labels == "fake", probabilities[:, LABELS.index("fake")]))
        ),
        "wanted_called_fake": {
            "everyday": _rate(verdicts[(labels != "fake") & ~hard] == Verdict.FAKE),
            "hard": _rate(verdicts[(labels != "fake") & hard] == Verdict.FAKE),
        },
        "by_language": {
            language: _table(labels[spoken == language], verdicts[spoken == language])
            for language in languages
        },
    }


def _table(labels: NDArray[np.str_], verdicts: NDArray[np.str_]) -> dict[str, Any]:
    """Which label got which verdict, and the share of each label that got its own."""
    return {
        label: {
            "mails": int((labels == label).sum()),
            "recall": _rounded(float((verdicts[labels == label] == label).mean())),
            **{str(v): int((verdicts[labels == label] == v).sum()) for v in _VERDICTS},
        }
        for label in LABELS
        if (labels == label).any()
    }


def _rate(hits: NDArray[np.bool_]) -> dict[str, Any]:
    """A share with its 95 % interval (Clopper and Pearson 1934)."""
    n, k = len(hits), int(hits.sum())
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return {"mails": n, "count": k, "low": _rounded(low), "high": _rounded(high)}


def _rounded(value: float) -> float:
    """Four digits: more would only show the noise."""
    return round(float(value), 4)

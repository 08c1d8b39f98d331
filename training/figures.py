"""The figures in a manifest, short: from mails that the model has not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from milter.spam.bundle import LABELS, Thresholds
from milter.spam.verdict import Score, Verdict, decide
from training.data import Example, hard_cases
from training.evaluate.measure import rate, rounded

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
        "log_loss": rounded(log_loss(labels, probabilities, labels=list(LABELS))),
        "one_minus_auc_percent": rounded(
            100 * (1 - roc_auc_score(labels == "fake", probabilities[:, LABELS.index("fake")]))
        ),
        "wanted_called_fake": {
            "everyday": rate(verdicts[(labels != "fake") & ~hard] == Verdict.FAKE),
            "hard": rate(verdicts[(labels != "fake") & hard] == Verdict.FAKE),
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
            "recall": rounded(float((verdicts[labels == label] == label).mean())),
            **{str(v): int((verdicts[labels == label] == v).sum()) for v in _VERDICTS},
        }
        for label in LABELS
        if (labels == label).any()
    }

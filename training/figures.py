"""The figures in a manifest, short: from mails that the model has not learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import log_loss, roc_auc_score

from milter.spam.bundle import LABELS, Thresholds
from milter.spam.verdict import Score, Verdict, decide
from training.data import Example, digest, from_feedback, hard_cases, mark, wanted
from training.evaluate.measure import rate, rounded

_VERDICTS = (Verdict.FAKE, Verdict.UNSURE, Verdict.GENUINE, Verdict.NONE)
#: Of a correction's key, as much as a manifest has.
KNOWN = 16
#: What a verdict is in ``verdicts``.
LETTERS = {"fake": "f", "unsure": "u", "genuine": "g", "none": "n"}


def figures(
    examples: list[Example], probabilities: NDArray[np.float64], thresholds: Thresholds
) -> dict[str, Any]:
    """Figures for ``probabilities`` (n, 3) that were found without the examples' own themes.

    They are of the written corpus alone, so that those of two models can be compared. ``corpus``
    is its digest, and ``verdicts`` a letter for each of its mails in the order of ``in_order``:
    with both, the next model can be compared mail by mail. ``feedback`` says what else was learned.
    """
    written = ~from_feedback(examples)
    base = [example for example in examples if not example.is_feedback]
    table = _of_corpus(base, probabilities[written], thresholds)
    keys = sorted(known_as(example) for example in examples if example.is_feedback)
    return table | {"feedback": {"mails": len(keys), "keys": keys}}


def known_as(example: Example) -> str:
    """What a manifest calls a correction that was learned: the beginning of its key."""
    return example.key[:KNOWN]


def in_order(examples: list[Example]) -> list[int]:
    """The numbers of the examples in the order of ``verdicts``, which is that of their content."""
    marks = [mark(example) for example in examples]
    return sorted(range(len(examples)), key=marks.__getitem__)


def _of_corpus(
    examples: list[Example], probabilities: NDArray[np.float64], thresholds: Thresholds
) -> dict[str, Any]:
    labels = np.array([example.label for example in examples])
    hard, missed = hard_cases(examples), wanted(examples)
    verdicts = np.array([decide(Score(*row), thresholds) for row in probabilities.tolist()])
    languages = sorted({example.language for example in examples})
    spoken = np.array([example.language for example in examples])
    return {
        "mails": len(examples),
        "themes": len({example.group for example in examples}),
        "corpus": digest(examples),
        "verdicts": "".join(LETTERS[verdicts[i]] for i in in_order(examples)),
        "log_loss": rounded(log_loss(labels, probabilities, labels=list(LABELS))),
        "one_minus_auc_percent": rounded(
            100 * (1 - roc_auc_score(labels == "fake", probabilities[:, LABELS.index("fake")]))
        ),
        "wanted_called_fake": {
            "everyday": rate(verdicts[missed & ~hard] == Verdict.FAKE),
            "hard": rate(verdicts[missed & hard] == Verdict.FAKE),
        },
        "spam_called_fake": rate(verdicts[(labels != "fake") & ~missed] == Verdict.FAKE),
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

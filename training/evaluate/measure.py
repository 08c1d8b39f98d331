"""Figures from verdicts and probabilities: plain functions, arrays in and JSON's objects out.

``fake`` is what is looked for; all else is wanted mail. A mail that was not judged passes
unmarked, so it ranks below every other one; only calibration leaves it out, as it has no
probability. What a set cannot tell (it has one label only) is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

from milter.spam.bundle import LABELS
from milter.spam.verdict import Verdict

#: The columns of the confusion table.
VERDICTS = (Verdict.FAKE, Verdict.UNSURE, Verdict.GENUINE, Verdict.NONE, Verdict.UNSCORED)
#: The share of wanted mail called fake at which misses are told.
BUDGET = 0.001
_FAKE = LABELS.index("fake")
# Bins of p(fake): ten are the custom (Naeini et al. 2015), and the least that shows a shape.
_RELIABILITY_BINS = 10
_HISTOGRAM_BINS = 20
_UNJUDGED = -1.0


@dataclass(frozen=True, slots=True)
class Judged:
    """n judged mails. ``names``, ``labels``, ``languages``, ``verdicts`` are (n,) texts.

    ``probabilities`` (n, 3) in the order of ``LABELS``, NaN where a mail was not judged. ``hard``
    (n,) marks hard cases, where that is known.
    """

    names: NDArray[np.str_]
    labels: NDArray[np.str_]
    languages: NDArray[np.str_]
    verdicts: NDArray[np.str_]
    probabilities: NDArray[np.float64]
    hard: NDArray[np.bool_] | None = None

    @property
    def is_fake(self) -> NDArray[np.bool_]:
        """Which mails are labelled fake, (n,)."""
        found: NDArray[np.bool_] = self.labels == "fake"
        return found

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which mails have probabilities, (n,)."""
        return ~np.isnan(self.probabilities[:, _FAKE])

    @property
    def scores(self) -> NDArray[np.float64]:
        """p(fake), (n,); below all of them for mails that were not judged."""
        return np.where(self.scored, self.probabilities[:, _FAKE], _UNJUDGED)


def together(parts: list[Judged]) -> Judged:
    """The mails of several sets as one."""
    return Judged(
        names=np.concatenate([part.names for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        languages=np.concatenate([part.languages for part in parts]),
        verdicts=np.concatenate([part.verdicts for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
    )


def measure(judged: Judged, errors: int = 0) -> dict[str, Any]:
    """All figures of a set, and its ``errors`` worst errors."""
    everyone = np.ones(len(judged.labels), dtype=bool)
    return {
        "mails": len(judged.labels),
        "unscored": int((~judged.scored).sum()),
        **_counts(judged, everyone),
        "hardness": _hardness(judged),
        "by_language": {
            language: _counts(judged, judged.languages == language)
            for language in sorted(set(judged.languages.tolist()))
        },
        "roc": roc(judged),
        "misses": misses(judged),
        "calibration": calibration(judged),
        "by_threshold": by_threshold(judged),
        "histogram": histogram(judged),
        "errors": worst(judged, errors),
    }


def _counts(judged: Judged, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """What the ``chosen`` (n,) mails of each label came out as."""
    labels = [label for label in LABELS if (chosen & (judged.labels == label)).any()]
    return {
        "labels": {
            label: _outcome(judged.verdicts[chosen & (judged.labels == label)], label)
            for label in labels
        },
        "false_positives": _called_fake(judged, chosen & ~judged.is_fake),
    }


def _outcome(verdicts: NDArray[np.str_], label: str) -> dict[str, Any]:
    return {
        "recall": rate(verdicts == label),
        "verdicts": {str(verdict): int((verdicts == verdict).sum()) for verdict in VERDICTS},
    }


def _called_fake(judged: Judged, chosen: NDArray[np.bool_]) -> dict[str, Any] | None:
    return rate(judged.verdicts[chosen] == Verdict.FAKE) if chosen.any() else None


def _hardness(judged: Judged) -> dict[str, Any] | None:
    """Wanted mail called fake, for everyday mail and hard cases apart."""
    if judged.hard is None:
        return None
    return {
        "everyday": _called_fake(judged, ~judged.is_fake & ~judged.hard),
        "hard": _called_fake(judged, ~judged.is_fake & judged.hard),
    }


def rate(hits: NDArray[np.bool_]) -> dict[str, Any]:
    """A count with the 95 % interval of its share (Clopper and Pearson 1934)."""
    n, k = len(hits), int(hits.sum())
    low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    return {"mails": n, "count": k, "low": rounded(low), "high": rounded(high)}


def rounded(value: float) -> float:
    """Four digits: more would only show the noise."""
    return round(float(value), 4)


def roc(judged: Judged) -> dict[str, Any] | None:
    """(1-ROC area)%, the measure of TREC's spam track (Cormack and Lynam 2005), and the curve.

    ``points``: share of wanted mail and of fakes at or above each threshold.
    """
    if judged.is_fake.all() or not judged.is_fake.any():
        return None
    wanted, fakes, _ = roc_curve(judged.is_fake, judged.scores)
    return {
        "one_minus_area_percent": rounded(100 * (1 - roc_auc_score(judged.is_fake, judged.scores))),
        "points": np.round(np.stack([wanted, fakes], axis=1), 6).tolist(),
    }


def misses(judged: Judged, budget: float = BUDGET) -> dict[str, Any] | None:
    """Fakes that a threshold misses which at most ``budget`` of the wanted mail reaches.

    ``above``: the threshold lies just above this score, that of the first wanted mail that must
    not reach it. ``resolved``: whether the wanted mails are enough to see a share so small.
    """
    wanted = np.sort(judged.scores[~judged.is_fake])[::-1]
    fakes = judged.scores[judged.is_fake]
    if not len(wanted) or not len(fakes):
        return None
    allowed = int(np.floor(budget * len(wanted) + 1e-9))  # 0.001 * 3000 is not quite 3
    above = max(wanted[allowed], 0.0)
    return {
        "budget": budget,
        "wanted": len(wanted),
        "allowed": allowed,
        "resolved": allowed > 0,
        "above": rounded(above),
        "missed": rate(fakes <= above),
    }


def calibration(judged: Judged) -> dict[str, Any] | None:
    """How far the probabilities can be taken at their word.

    ``log_loss`` is of the three labels; the others are of p(fake): Brier's score (1950), and the
    expected calibration error over ten bins of equal width (Naeini et al. 2015).
    """
    scored = judged.scored
    if not scored.any():
        return None
    fake, scores = judged.is_fake[scored], judged.scores[scored]
    bins = _reliability(fake, scores)
    gaps = [row["mails"] * abs(row["mean_score"] - row["count"] / row["mails"]) for row in bins]
    return {
        "mails": int(scored.sum()),
        "log_loss": rounded(
            log_loss(judged.labels[scored], judged.probabilities[scored], labels=list(LABELS))
        ),
        "brier": rounded(brier_score_loss(fake, scores, labels=[False, True])),
        "expected_error": rounded(sum(gaps) / len(scores)),
        "bins": bins,
    }


def _reliability(fake: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """For each bin of p(fake) that has mails: its mean, and how many of them are fake."""
    of_bin = np.minimum((scores * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    return [
        {
            "from": i / _RELIABILITY_BINS,
            "to": (i + 1) / _RELIABILITY_BINS,
            "mean_score": round(float(scores[of_bin == i].mean()), 6),
            **rate(fake[of_bin == i]),
        }
        for i in range(_RELIABILITY_BINS)
        if (of_bin == i).any()
    ]


def by_threshold(judged: Judged) -> list[dict[str, Any]]:
    """Share of fakes and of wanted mail that reach each threshold from 0 to 1."""
    fakes, wanted = judged.scores[judged.is_fake], judged.scores[~judged.is_fake]

    def share(scores: NDArray[np.float64], threshold: float) -> float | None:
        return round(float((scores >= threshold).mean()), 6) if len(scores) else None

    return [
        {"threshold": t, "fake": share(fakes, t), "wanted": share(wanted, t)}
        for t in (i / 100 for i in range(101))
    ]


def histogram(judged: Judged) -> dict[str, list[int]]:
    """Mails of each label in each of twenty bins of p(fake)."""
    kinds = {label: judged.scored & (judged.labels == label) for label in LABELS}
    return {
        label: np.histogram(judged.scores[kind], _HISTOGRAM_BINS, (0.0, 1.0))[0].tolist()
        for label, kind in kinds.items()
        if kind.any()
    }


def worst(judged: Judged, number: int) -> list[dict[str, Any]]:
    """The ``number`` worst errors: wanted mail called fake, then the least likely of own labels."""
    own = np.array([LABELS.index(label) for label in judged.labels.tolist()], dtype=int)
    likely = judged.probabilities[np.arange(len(own)), own]
    wrong = judged.verdicts != judged.labels
    costly = judged.verdicts == Verdict.FAKE
    order = np.lexsort((judged.names, np.nan_to_num(likely, nan=2.0), ~costly, ~wrong))
    return [
        {
            "name": str(judged.names[i]),
            "label": str(judged.labels[i]),
            "verdict": str(judged.verdicts[i]),
            "score": rounded(judged.scores[i]) if judged.scored[i] else None,
        }
        for i in order[: max(0, min(number, int(wrong.sum())))].tolist()
    ]

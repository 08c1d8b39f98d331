"""Score, then verdict: two steps, both pure. The third, the action, is in ``action``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from milter.spam import features as f
from milter.spam.bundle import LABELS, Bundle, Thresholds
from milter.spam.tokens import Tokens

_FAKE = LABELS.index("fake")
_OTHERS = [LABELS.index(label) for label in LABELS if label != "fake"]

#: Features that are shown as the ones that weighed most.
CLUES = 6


class Verdict(StrEnum):
    """What the filter says of a mail."""

    FAKE = "fake"
    GENUINE = "genuine"
    NONE = "none"
    UNSURE = "unsure"
    UNSCORED = "unscored"


class Reason(StrEnum):
    """Why a verdict is not the score's. The same words in header, log, metrics and tests."""

    # the mail was not judged: unscored
    TIMEOUT = "timeout"
    TOO_LITTLE_TEXT = "too-little-text"
    UNREADABLE = "unreadable"
    TRUSTED_SENDER = "trusted-sender"  # an allowed one, and its signature shows it
    # the mail was judged, and something else was known
    REFUSED_SENDER = "refused-sender"  # fake, whatever it says
    THREAD = "thread"  # fake: it chases up a fake of the same sender
    CORRESPONDENT = "known-correspondent"  # unsure at most: the owner has written there
    RELEASED = "released"  # none: it was held as a fake, and somebody has let it go


@dataclass(frozen=True, slots=True)
class Score:
    """Calibrated probabilities in the order of ``LABELS``; they add up to 1."""

    fake: float
    genuine: float
    none: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """All there is to say about one mail. ``score`` is None where it was not judged.

    ``clues``: words and what each added to the log-odds of ``fake`` against the other two labels,
    the heaviest first.
    """

    verdict: Verdict
    model: str
    score: Score | None = None
    reason: Reason | None = None
    asks: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    clues: Sequence[tuple[str, float]] = ()


def unscored(reason: Reason, model: str) -> Judgement:
    """The judgement of a mail that could not be judged."""
    return Judgement(Verdict.UNSCORED, model, reason=reason)


def judge(tokens: Tokens, bundle: Bundle) -> Judgement:
    """Judge a mail by its tokens."""
    if tokens.count < bundle.too_little:
        return unscored(Reason.TOO_LITTLE_TEXT, bundle.version)
    named = f.named(tokens)
    weights = np.multiply(bundle.weights.take(named.ids, axis=0), bundle.scale, dtype=np.float64)
    worst = most_fake(named.dense() @ weights + bundle.intercept) if tokens.longer else 0
    vector = named.upto(named.ends[worst])
    weights = weights.take(vector.at, axis=0)
    logits = vector.values @ weights + bundle.intercept
    parts = weights * vector.values[:, np.newaxis]
    score = probabilities(logits, bundle.temperature)
    return Judgement(
        verdict=decide(score, bundle.thresholds),
        model=bundle.version,
        score=score,
        asks=vector.found.asks,
        offers=vector.found.offers,
        clues=_clues(vector, parts / bundle.temperature),
    )


def most_fake(logits: NDArray[np.float64]) -> int:
    """Of a mail's views, (v, 3), the one that speaks most for ``fake``."""
    if len(logits) == 1:
        return 0
    others = np.logaddexp.reduce(logits[:, _OTHERS], axis=1)
    return int(np.argmax(logits[:, _FAKE] - others))


def probabilities(logits: NDArray[np.float64], temperature: float) -> Score:
    """Softmax of ``logits`` (3,) over ``temperature`` (Guo et al. 2017, section 4.2)."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max())
    return Score(*(powers / powers.sum()).tolist())


def decide(score: Score, thresholds: Thresholds) -> Verdict:
    """The verdict for a score: half-open ranges, ``fake`` first."""
    if score.fake >= thresholds.fake:
        return Verdict.FAKE
    if score.fake >= thresholds.unsure:
        return Verdict.UNSURE
    if score.genuine >= thresholds.genuine and score.genuine > score.none:
        return Verdict.GENUINE
    return Verdict.NONE


def _clues(vector: f.Features, parts: NDArray[np.float64]) -> list[tuple[str, float]]:
    """The features that moved ``fake`` most against the mean of the other labels."""
    margin = parts[:, _FAKE] - sum(parts[:, label] for label in _OTHERS) / len(_OTHERS)
    weight = np.abs(margin)
    if len(weight) > CLUES:  # to sort some is quicker than to sort them all
        some = (weight >= np.partition(weight, -CLUES)[-CLUES]).nonzero()[0]
    else:
        some = np.arange(len(weight))
    heaviest = some[np.argsort(-weight[some], kind="stable")][:CLUES].tolist()
    return [(vector.name(i), float(margin[i])) for i in heaviest if margin[i]]

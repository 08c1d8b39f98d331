"""What is known of senders is told to a model, when all else is learned.

It is bounded, and not learned as words are: nothing of a header is verified here, and anybody can
send pitches in somebody else's name. A mail from a sender of pitches is fake where by its words it
would be unsure. Which senders these are ``training.feedback.senders`` decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from milter.spam.bundle import LABELS, Thresholds
from milter.spam.features import sender_id

_FAKE = LABELS.index("fake")
_LARGEST = np.iinfo(np.int16).max
# Thresholds have four decimals.
_LEAST, _MOST = 0.00005, 0.99995


def with_senders(
    weights: NDArray[np.int16], senders: Iterable[str], thresholds: Thresholds, step: float
) -> NDArray[np.int16]:
    """``weights`` (SIZE, 3) by which a mail of one of ``senders`` is fake where it would be unsure.

    ``step`` is what one of their units is in log-odds.
    """
    between = _log_odds(thresholds.fake) - _log_odds(thresholds.unsure)
    told = weights.copy()
    for number in {sender_id(name) for name in senders}:
        told[number, _FAKE] = min(math.ceil(between / step), _LARGEST)
    return told


def _log_odds(threshold: float) -> float:
    """Of a threshold that may be that of no mail, or of every one."""
    inside = min(max(threshold, _LEAST), _MOST)
    return math.log(inside / (1 - inside))

"""Whose mail the owner has filed as pitches: that tells more than the words of their next one.

It is not learned but told to the model, and bounded: nothing of a header is verified here, and
anybody can send pitches in somebody else's name. A mail from such a sender is fake where by its
words it would be unsure. Senders in the corpus are invented; senders of wanted mail must not help
whoever writes in their names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from milter.mail import header
from milter.mail.sites import read_sites
from milter.spam.bundle import LABELS, Thresholds
from milter.spam.features import sender_id
from training.data import Example

_FAKE = LABELS.index("fake")
_LARGEST = np.iinfo(np.int16).max


def senders_of_pitches(examples: Iterable[Example]) -> frozenset[str]:
    """Who sent corrections that are filed as fake, and none that is filed as anything else."""
    pitches: set[str] = set()
    others: set[str] = set()
    for example in examples:
        if example.is_feedback:
            content = example.content
            fields = header.fields(content[: header.end_of_header(content)])
            senders = read_sites(fields).senders
            (pitches if example.label == "fake" else others).update(senders)
    return frozenset(pitches - others)


def with_senders(
    weights: NDArray[np.int16], senders: Iterable[str], thresholds: Thresholds, step: float
) -> NDArray[np.int16]:
    """``weights`` (SIZE, 3) by which a mail of one of ``senders`` is fake where it would be unsure.

    ``step`` is what one of their units is in log-odds.
    """
    more = round((_log_odds(thresholds.fake) - _log_odds(thresholds.unsure)) / step)
    told = weights.copy()
    for number in {sender_id(name) for name in senders}:
        told[number, _FAKE] = min(more, _LARGEST)
    return told


def _log_odds(threshold: float) -> float:
    """Of a threshold that may be that of no mail, or of every one."""
    inside = min(max(threshold, 0.01), 0.99)
    return math.log(inside / (1 - inside))

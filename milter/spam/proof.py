"""The proof of a bundle: what its octets cannot show, its judgements must.

``open_bundle`` checks that the files are whole and fit this filter. A model can be whole and still
be absurd: its classes in another order, its sums without bound, everything below ``too_little``,
wanted mail called fake. So it judges a few written mails (``canaries.toml``) before it may be
published and before a filter takes it. The part about wanted mail is strict and the part about
pitches lenient: a small honest model passes, whatever it has learned from corrections.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from milter.errors import BundleError
from milter.mail.text import read_text
from milter.spam.bundle import Bundle, open_bundle, open_models
from milter.spam.tokens import Tokens, tokenize
from milter.spam.verdict import Judgement, Score, Verdict, judge

# No honest weight is near this many log-odds; with more, the sum of a long mail means nothing.
_HEAVIEST = 1000.0
# From this probability of ``none`` a model is sure that the plainest pitch is nothing.
_CERTAIN = 0.99


@dataclass(frozen=True, slots=True)
class Canary:
    """A mail that shows whether a model still works."""

    subject: str
    tokens: Tokens


@cache
def canaries() -> dict[str, tuple[Canary, ...]]:
    """The canaries, ``wanted`` and ``pitch``."""
    table = tomllib.loads(Path(__file__).with_name("canaries.toml").read_text(encoding="utf-8"))
    return {kind: tuple(_canary(**mail) for mail in mails) for kind, mails in table.items()}


def _canary(subject: str, body: str) -> Canary:
    lines = [f"Subject: {subject}", "Content-Type: text/plain; charset=utf-8", "", body.strip()]
    octets = "\n".join(lines).replace("\n", "\r\n").encode()
    return Canary(subject, tokenize(read_text(octets)))


def open_proved_models(models: Path, version: str = "current") -> Bundle:
    """Like ``open_models``, and proved: what a filter works with. Raises ``BundleError``."""
    return _prove(open_models(models, version), f"{models} ({version})")


def open_proved(folder: Path) -> Bundle:
    """Like ``open_bundle``, and proved. Raises ``BundleError``."""
    return _prove(open_bundle(folder), str(folder))


def _prove(bundle: Bundle, told: str) -> Bundle:
    """The bundle, if it judges as a model must; ``told`` says where it lies."""
    faults = [*_unbounded(bundle)] or [*_absurd(bundle)]
    if faults:
        raise BundleError(f"{told}: model {bundle.version} is refused: {faults[0]}")
    return bundle


def _unbounded(bundle: Bundle) -> list[str]:
    """Why its sums cannot be trusted."""
    steps = max(int(bundle.weights.max()), -int(bundle.weights.min()))
    intercept = float(np.abs(bundle.intercept).max())
    heaviest = max(steps * abs(bundle.scale), intercept) / bundle.temperature
    if heaviest <= _HEAVIEST:
        return []
    return [f"its heaviest weight is {heaviest:.3g}; no honest one is above {_HEAVIEST:.0f}"]


def _absurd(bundle: Bundle) -> list[str]:
    """What is absurd in its judgements, a sentence each."""
    wanted, pitches = (_judged(bundle, kind) for kind in ("wanted", "pitch"))
    faults = [fault for told, judgement in wanted + pitches for fault in _unscored(told, judgement)]
    if faults:
        return faults
    faults += [
        f"it calls an ordinary mail fake ({told})"
        for told, judgement in wanted
        if judgement.verdict == Verdict.FAKE
    ]
    faults += [
        f"it is certain that the plainest of pitches is nothing ({told})"
        for told, judgement in pitches
        if _score(judgement).none >= _CERTAIN
    ]
    if _mean_fake(pitches) <= _mean_fake(wanted):
        faults.append("it finds pitches no more fake than ordinary mails")
    return faults


def _judged(bundle: Bundle, kind: str) -> list[tuple[str, Judgement]]:
    return [(repr(canary.subject), judge(canary.tokens, bundle)) for canary in canaries()[kind]]


def _unscored(told: str, judgement: Judgement) -> list[str]:
    score = judgement.score
    if score is None:
        return [f"it does not judge an ordinary mail ({told}: {judgement.reason})"]
    if not np.isfinite([score.fake, score.genuine, score.none]).all():
        return [f"its score is not a number ({told})"]
    return []


def _score(judgement: Judgement) -> Score:
    assert judgement.score
    return judgement.score


def _mean_fake(judged: list[tuple[str, Judgement]]) -> float:
    return sum(_score(judgement).fake for _, judgement in judged) / len(judged)

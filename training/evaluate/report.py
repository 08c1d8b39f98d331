"""The report: what was measured, on what, by which model; an object of JSON.

    format       of this object
    judged_by    kind "model" with its version, or kind "folds" with the digest of the corpus
    thresholds   those that the verdicts were given by
    sets         the figures of each set (``measure``), with name and unreadable mails
    together     the figures of all sets as one, or null where there is one only

The same mails and the same model give the same report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from milter.spam.bundle import LABELS, Bundle, Thresholds
from milter.spam.judge import judge_content
from milter.spam.verdict import Score, decide
from training.data import Example, digest, hard_cases
from training.evaluate.measure import Judged, measure, together
from training.evaluate.sets import Mail, Source, SourceError, open_sources, printable

if TYPE_CHECKING:
    from training.fit import FitSettings, Fitted

#: Raise this when the meaning of a report's fields changes.
FORMAT = 1
#: Told of the number of mails done so far.
Progress = Callable[[int], None]

# Far above the filter's own limit: a figure must not depend on how busy this machine is.
_SECONDS = 60.0
_UNJUDGED = (np.nan,) * len(LABELS)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One mail's verdict and probabilities (3,)."""

    mail: Mail
    verdict: str
    probabilities: Sequence[float]


def of_folds(
    name: str, examples: list[Example], fitted: Fitted, settings: FitSettings, errors: int = 0
) -> dict[str, Any]:
    """The report on the corpus ``name``, each mail judged by a model that saw none of its theme."""
    told = {"kind": "folds", "folds": settings.folds, "sha256": digest(examples)}
    figures = measure(_unseen(examples, fitted), errors)
    return _report(
        told, fitted.thresholds, [{"name": printable(name), "unreadable": []} | figures], None
    )


def _unseen(examples: list[Example], fitted: Fitted) -> Judged:
    verdicts = [decide(Score(*row), fitted.thresholds) for row in fitted.out_of_fold.tolist()]
    return Judged(
        names=np.array([printable(example.name) for example in examples]),
        labels=np.array([example.label for example in examples]),
        languages=np.array([example.language for example in examples]),
        verdicts=np.array([str(verdict) for verdict in verdicts]),
        probabilities=fitted.out_of_fold,
        hard=hard_cases(examples),
    )


def of_sources(
    arguments: Sequence[str], bundle: Bundle, errors: int = 0, progress: Progress | None = None
) -> dict[str, Any]:
    """The report on the sources that ``arguments`` name (``sets``), judged by ``bundle``."""
    sets, parts, done = [], [], 0
    for source in open_sources(arguments):
        outcomes, unreadable = [], []
        for mail in source.mails():
            if mail.fault:
                unreadable.append({"name": mail.name, "fault": mail.fault})
            else:
                outcomes.append(_judge(mail, bundle))
            done += 1
            if progress:
                progress(done)
        parts.append(_as_arrays(outcomes, source, len(unreadable)))
        sets.append({"name": source.name, "unreadable": unreadable} | measure(parts[-1], errors))
    whole = measure(together(parts)) if len(parts) > 1 else None
    told = {"kind": "model", "version": bundle.version}
    return _report(told, bundle.thresholds, sets, whole)


def _judge(mail: Mail, bundle: Bundle) -> _Outcome:
    judgement = judge_content(mail.content, bundle, _SECONDS)
    score = judgement.score
    found = (score.fake, score.genuine, score.none) if score else _UNJUDGED
    without_content = Mail(mail.name, mail.label, mail.language, b"")
    return _Outcome(without_content, str(judgement.verdict), found)


def _as_arrays(outcomes: list[_Outcome], source: Source, unreadable: int) -> Judged:
    if not outcomes:
        why = f"none of its {unreadable} mails can be read" if unreadable else "holds no mail"
        raise SourceError(f"{printable(str(source.path))}: {why}")
    return Judged(
        names=np.array([outcome.mail.name for outcome in outcomes]),
        labels=np.array([outcome.mail.label for outcome in outcomes]),
        languages=np.array([outcome.mail.language for outcome in outcomes]),
        verdicts=np.array([outcome.verdict for outcome in outcomes]),
        probabilities=np.array([outcome.probabilities for outcome in outcomes]),
    )


def _report(
    judged_by: dict[str, Any],
    thresholds: Thresholds,
    sets: list[dict[str, Any]],
    whole: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "judged_by": judged_by,
        "thresholds": asdict(thresholds),
        "sets": sets,
        "together": whole and {"name": "all sources together", "unreadable": []} | whole,
    }


def to_json(report: dict[str, Any]) -> str:
    """The report as text, keys in order; JSON has no other number than a finite one."""
    return json.dumps(report, indent=1, sort_keys=True, allow_nan=False) + "\n"


def all_sets(report: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The sets of a report, and last all of them together where there are several."""
    return [*report["sets"], *([report["together"]] if report["together"] else [])]

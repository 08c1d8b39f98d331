"""The trial: a candidate is fitted, and judged beside the model in use by the gate.

If the gate refuses it, and some mails were filed as fake against all that the others teach, a
second candidate is tried without these: one slip of the hand must not keep the rest from being
learned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from milter.spam.bundle import LABELS
from training import gate
from training.compare import Judgements, Model, Tally, judge_views, judged, newest, tally
from training.data import Example
from training.figures import known_as
from training.fit import FitSettings, Fitted, fit_views
from training.gate import Check, Part
from training.in_use import InUse
from training.jobs import Jobs
from training.vectorize import Views, read_views

# The probability of none, by models that saw none of its cluster, from which a mail that was filed
# as fake stands alone: siblings of it, had there been any, would have told them better.
_ALONE = 0.9

#: Told of a stage, how much of it is done and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What is learned from: mails of the corpus, then corrections; ``moved``: when these came."""

    base: list[Example]
    feedback: list[Example]
    moved: list[float]

    @property
    def examples(self) -> list[Example]:
        """All of them."""
        return [*self.base, *self.feedback]

    @property
    def labels(self) -> NDArray[np.str_]:
        """Of the corrections, (n,)."""
        return np.array([example.label for example in self.feedback], dtype=np.str_)

    def with_feedback(self, numbers: NDArray[np.int64]) -> Material:
        """The same with some of the corrections only."""
        chosen = numbers.tolist()
        return Material(
            self.base, [self.feedback[i] for i in chosen], [self.moved[i] for i in chosen]
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate, and what came of the gate.

    ``reference``: the model in use, or where none can be opened, one of the corpus alone.
    ``before`` and ``after``: how it and the candidate judge the corrections; ``unseen``: how models
    that saw none of its cluster judge each. ``of_corpus``: the same comparison on the corpus.
    ``left_out``: corrections that are no part of ``material`` any more, each alone with its label.
    """

    material: Material
    views: Views
    candidate: Fitted
    reference: Model
    before: Judgements
    after: Judgements
    unseen: Judgements
    parts: list[Part]
    of_corpus: Tally
    checks: list[Check]
    left_out: tuple[Example, ...] = ()

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why the candidate is refused, a sentence each; none if it is good."""
        return tuple(check.told for check in self.checks if not check.passed)

    @property
    def of_feedback(self) -> Tally:
        """The comparison on the corrections; the candidate has learned them."""
        return tally(self.material.labels, self.before.verdicts, self.after.verdicts)


def run_trial(
    material: Material,
    in_use: InUse | None,
    settings: FitSettings,
    jobs: Jobs,
    progress: Progress,
) -> Trial:
    """Fit a candidate from all of ``material`` and put it to the gate; maybe a second one."""
    total = len(material.base) + len(material.feedback)
    views = read_views(
        [example.content for example in material.examples],
        jobs,
        lambda done: progress("reading mails", done, total),
    )
    trial = _try(_Setting(material, views, in_use, settings, jobs), progress)
    alone = _alone(trial)
    if not trial.refusals or not alone.any():
        return trial
    kept = np.flatnonzero(~alone)
    rows = np.concatenate([np.arange(len(material.base)), len(material.base) + kept])
    rest = _Setting(material.with_feedback(kept), views.of(rows), in_use, settings, jobs)
    second = _try(rest, progress)
    left_out = tuple(material.feedback[i] for i in np.flatnonzero(alone).tolist())
    return trial if second.refusals else replace(second, left_out=left_out)


def _alone(trial: Trial) -> NDArray[np.bool_]:
    """Which corrections (n,) are filed as fake, and none of the others speaks for it."""
    none = trial.unseen.probabilities[:, LABELS.index("none")]
    found: NDArray[np.bool_] = (trial.material.labels == "fake") & (none >= _ALONE)
    return found


def _try(trial: _Setting, progress: Progress) -> Trial:
    """One candidate."""
    progress("fitting the candidate", 0, 1)
    late, new = trial.newest()
    examples = trial.material.examples
    candidate = fit_views(trial.views, examples, trial.settings, trial.jobs, late)
    progress("fitting the candidate", 1, 1)
    reference, on_corpus = trial.reference(progress)
    held = trial.held_out(new, candidate, reference)
    return _weigh(trial, candidate, reference, on_corpus, held)


@dataclass(frozen=True, slots=True)
class _Setting:
    """What all models of a trial are fitted from."""

    material: Material
    views: Views
    in_use: InUse | None
    settings: FitSettings
    jobs: Jobs

    def alone(self) -> Fitted:
        """A model of the corpus alone."""
        base = self.material.base
        return fit_views(self.views.of(np.arange(len(base))), base, self.settings, self.jobs)

    def feedback(self, numbers: NDArray[np.int64] | None = None) -> Views:
        """The corrections, or some of them."""
        every = np.arange(len(self.material.feedback)) if numbers is None else numbers
        return self.views.of(len(self.material.base) + every)

    def reference(self, progress: Progress) -> tuple[Model, NDArray[np.str_]]:
        """The model in use, and its verdicts on the corpus by models that saw none of the theme.

        Where it cannot be opened, or was made from another corpus or by an older version, what the
        corpus alone gives stands in.
        """
        base = self.material.base
        known = self.in_use.on_corpus(base) if self.in_use else None
        if self.in_use and known is not None:
            return self.in_use.bundle, known
        progress("fitting the corpus alone, to compare", 0, 1)
        alone = self.alone()
        progress("fitting the corpus alone, to compare", 1, 1)
        verdicts = judged(alone.out_of_fold, alone.thresholds).verdicts
        return (self.in_use.bundle if self.in_use else alone), verdicts

    def newest(self) -> tuple[NDArray[np.int64] | None, NDArray[np.int64]]:
        """The numbers of the newest corrections, and those of them that can tell something.

        What the model in use has learned already it knows by heart: such mails tell nothing. Where
        too few are left, none need be held out.
        """
        late = newest(self.material.moved)
        known = self.in_use.known if self.in_use else frozenset()
        new = [i for i in late.tolist() if known_as(self.material.feedback[i]) not in known]
        enough = len(new) >= gate.LEAST
        return len(self.material.base) + late if enough else None, np.array(new, np.int64)

    def held_out(self, chosen: NDArray[np.int64], candidate: Fitted, reference: Model) -> Check:
        """The gate's check on the newest corrections, by a model that saw none of them.

        Calibration and thresholds are the candidate's: they are set on the corpus.
        """
        views = self.feedback(chosen)
        unseen: Model = candidate.rehearsed() if candidate.rehearsal else candidate
        after, before = (judge_views(views, model) for model in (unseen, reference))
        return gate.held_out(self.material.labels[chosen], before, after)


def _weigh(
    trial: _Setting,
    candidate: Fitted,
    reference: Model,
    on_corpus: NDArray[np.str_],
    held: Check,
) -> Trial:
    """Put the candidate to the other checks, too."""
    material, base = trial.material, trial.material.base
    outside = candidate.out_of_fold[: len(base)]
    found = judged(outside, candidate.thresholds).verdicts
    before, after = (judge_views(trial.feedback(), model) for model in (reference, candidate))
    parts = gate.parts(base, on_corpus, found)
    learned = judge_views(trial.views.of(np.arange(len(base))), candidate)
    labels = np.array([example.label for example in base], dtype=np.str_)
    return Trial(
        material=material,
        views=trial.views,
        candidate=candidate,
        reference=reference,
        before=before,
        after=after,
        unseen=judged(candidate.out_of_fold[len(base) :], candidate.thresholds),
        parts=parts,
        of_corpus=tally(labels, on_corpus, found),
        checks=[
            gate.budget(base, outside, candidate.thresholds, trial.settings),
            gate.corrections(material.feedback, before, after),
            gate.floor(parts),
            gate.regression(base, learned.verdicts),
            held,
        ],
    )

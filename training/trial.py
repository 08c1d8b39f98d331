"""The trial: a candidate is chosen, and judged beside the model in use by the gate.

Candidates are tried from the boldest to the most cautious, and the first one that would pass the
gate beside a model of the corpus alone is put to the gate beside the model in use: one slip of the
hand must not keep the rest from being learned. So what is published hangs on corpus, corrections
and settings alone; the model in use decides only whether it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from milter.mail.sites import sender_in
from milter.spam.bundle import LABELS
from training import gate
from training.compare import Judgements, Model, Tally, judge_views, judged, newest, tally
from training.data import Example
from training.figures import known_as
from training.fit import FitSettings, Fitted, fit_views, read_examples
from training.gate import Check, Part
from training.in_use import InUse
from training.jobs import Jobs
from training.vectorize import Views

# The probability of the other label, by models that saw none of its cluster, from which a mail
# stands alone with its own: siblings, had there been any, would have told them better.
_ALONE = 0.9
# What a correction counts in the most cautious candidate, as a share of what it usually does.
_LESS = 0.25
_FAKE, _NONE = LABELS.index("fake"), LABELS.index("none")

#: Told of a stage, how much of it is done and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What is learned from: mails of the corpus, then corrections; ``moved``: when these came.

    ``senders``: whose mail is believed less.
    """

    base: list[Example]
    feedback: list[Example]
    moved: list[float]
    senders: frozenset[str] = frozenset()

    @property
    def examples(self) -> list[Example]:
        """All of them."""
        return [*self.base, *self.feedback]

    @property
    def labels(self) -> NDArray[np.str_]:
        """Of the corrections, (n,)."""
        return np.array([example.label for example in self.feedback], dtype=np.str_)

    def with_feedback(self, numbers: NDArray[np.int64]) -> Material:
        """The same with some of the corrections only, and without the senders of the other ones."""
        chosen = numbers.tolist()
        kept = [self.feedback[i] for i in chosen]
        gone = [self.feedback[i] for i in set(range(len(self.feedback))).difference(chosen)]
        senders = self.senders - (_senders_of(gone) - _senders_of(kept))
        return Material(self.base, kept, [self.moved[i] for i in chosen], senders)


def _senders_of(examples: list[Example]) -> frozenset[str]:
    return frozenset(sender_in(example.content) for example in examples if example.label == "fake")


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate, and what came of the gate.

    ``reference``: the model in use, or where none can be opened, one of the corpus alone.
    ``before`` and ``after``: how it and the candidate judge the corrections; ``unseen``: how models
    that saw none of its cluster judge each. ``of_corpus``: the same comparison on the corpus.
    ``left_out``: corrections that are no part of ``material`` any more, each alone with its label.
    ``settings``: what the candidate was fitted with.
    """

    material: Material
    views: Views
    settings: FitSettings
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
    """Choose a candidate for ``material``, and put it to the gate."""
    total = len(material.base) + len(material.feedback)
    views = read_examples(
        material.examples, jobs, lambda done: progress("reading mails", done, total)
    )
    whole = Setting(material, views, settings, jobs)
    corpus = whole.alone(progress)
    chosen = boldest(whole, corpus, progress)
    if in_use is None:
        return chosen
    known = in_use.on_corpus(material.base)
    rival = Rival(in_use.bundle, corpus.on_corpus if known is None else known, in_use.known)
    trial = Setting(chosen.material, chosen.views, chosen.settings, jobs)
    return replace(_weigh(trial, chosen.candidate, rival), left_out=chosen.left_out)


@dataclass(frozen=True, slots=True)
class Rival:
    """What a candidate is compared with.

    ``on_corpus``: its verdicts on the corpus, by models that saw none of the theme. ``known``: what
    the corrections that it has learned are called (``figures.known_as``).
    """

    model: Model
    on_corpus: NDArray[np.str_]
    known: frozenset[str] = frozenset()


def boldest(whole: Setting, corpus: Rival, progress: Progress) -> Trial:
    """The first candidate that passes beside the corpus alone, or the most cautious one.

    The first has learned all. Then mails are left out that stand alone by what the candidate before
    shows: such as were filed as fake, next such as were filed as wanted, too. In the last one what
    is left counts less.
    """
    tried = _try(whole, corpus, progress)
    for alone in (_as_fake, _either_way):
        found = alone(tried)
        if tried.refusals and found.any():
            kept, gone = np.flatnonzero(~found), np.flatnonzero(found)
            left_out = tried.left_out + tuple(tried.material.feedback[i] for i in gone.tolist())
            rest = whole.without(tried, kept)
            tried = replace(_try(rest, corpus, progress), left_out=left_out)
    if not tried.refusals:
        return tried
    weight = _LESS * whole.settings.feedback_weight
    lighter = replace(whole.settings, feedback_weight=weight)
    rest = Setting(tried.material, tried.views, lighter, whole.jobs)
    return replace(_try(rest, corpus, progress), left_out=tried.left_out)


def _as_fake(tried: Trial) -> NDArray[np.bool_]:
    """Which corrections (n,) are filed as fake, and none of the others speaks for it."""
    none = tried.unseen.probabilities[:, _NONE]
    found: NDArray[np.bool_] = (tried.material.labels == "fake") & (none >= _ALONE)
    return found


def _either_way(tried: Trial) -> NDArray[np.bool_]:
    """These, and which are filed as wanted while both corpus and the others say fake.

    The others do not suffice: whoever files somebody's newsletters as fake must not be able to have
    the letters left out that speak for them.
    """
    fake = tried.unseen.probabilities[:, _FAKE]
    corpus = tried.before.probabilities.argmax(axis=1) == _FAKE
    found: NDArray[np.bool_] = (tried.material.labels != "fake") & (fake >= _ALONE) & corpus
    return found | _as_fake(tried)


def _try(trial: Setting, corpus: Rival, progress: Progress) -> Trial:
    """One candidate, beside the corpus alone."""
    stage = f"fitting a candidate from {len(trial.material.feedback)} corrections"
    progress(stage, 0, 1)
    late = newest(trial.material.moved)
    left_out = len(trial.material.base) + late if len(late) else None
    examples = trial.material.examples
    senders = trial.material.senders
    candidate = fit_views(trial.views, examples, trial.settings, trial.jobs, left_out, senders)
    candidate = replace(candidate, folds=())  # nobody asks for them, and several are compared
    progress(stage, 1, 1)
    return _weigh(trial, candidate, corpus)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all models of a trial are fitted from."""

    material: Material
    views: Views
    settings: FitSettings
    jobs: Jobs

    def alone(self, progress: Progress) -> Rival:
        """A model of the corpus alone, and its verdicts by models that saw none of the theme."""
        base = self.material.base
        progress("fitting the corpus alone, to compare", 0, 1)
        model = fit_views(self.views.of(np.arange(len(base))), base, self.settings, self.jobs)
        progress("fitting the corpus alone, to compare", 1, 1)
        return Rival(replace(model, folds=()), judged(model.out_of_fold, model.thresholds).verdicts)

    def without(self, tried: Trial, kept: NDArray[np.int64]) -> Setting:
        """What was ``tried``, with those of its corrections only."""
        base = len(self.material.base)
        rows = np.concatenate([np.arange(base), base + kept])
        material = tried.material.with_feedback(kept)
        return replace(self, material=material, views=tried.views.of(rows))

    def feedback(self, numbers: NDArray[np.int64] | None = None) -> Views:
        """The corrections, or some of them."""
        every = np.arange(len(self.material.feedback)) if numbers is None else numbers
        return self.views.of(len(self.material.base) + every)

    def held_out(self, candidate: Fitted, rival: Rival) -> Check:
        """The gate's check on the newest corrections, by a model that saw none of them.

        What the rival has learned already it knows by heart: such mails tell nothing. Calibration
        and thresholds are the candidate's: they are set on the corpus.
        """
        late = newest(self.material.moved).tolist()
        new = [i for i in late if known_as(self.material.feedback[i]) not in rival.known]
        chosen = np.array(new, np.int64)
        unseen: Model = candidate.rehearsed() if candidate.rehearsal else candidate
        views = self.feedback(chosen)
        after, before = (judge_views(views, model) for model in (unseen, rival.model))
        return gate.held_out(self.material.labels[chosen], before, after)


def _weigh(trial: Setting, candidate: Fitted, rival: Rival) -> Trial:
    """Put the candidate to the gate."""
    material, base = trial.material, trial.material.base
    outside = candidate.out_of_fold[: len(base)]
    found = judged(outside, candidate.thresholds).verdicts
    before, after = (judge_views(trial.feedback(), model) for model in (rival.model, candidate))
    parts = gate.parts(base, rival.on_corpus, found)
    learned = judge_views(trial.views.of(np.arange(len(base))), candidate)
    labels = np.array([example.label for example in base], dtype=np.str_)
    return Trial(
        material=material,
        views=trial.views,
        settings=trial.settings,
        candidate=candidate,
        reference=rival.model,
        before=before,
        after=after,
        unseen=judged(candidate.out_of_fold[len(base) :], candidate.thresholds),
        parts=parts,
        of_corpus=tally(labels, rival.on_corpus, found),
        checks=[
            gate.budget(base, outside, candidate.thresholds, trial.settings),
            gate.corrections(material.feedback, before, after),
            gate.floor(parts),
            gate.regression(base, learned.verdicts),
            trial.held_out(candidate, rival),
        ],
    )

"""One retrain, in order: collect, compare with the last time, fit and judge, publish, receipts.

    feedback folders -> labels and guards -> corpus and corrections -> candidate -> gate
        -> bundle -> current                       receipts of every mail, whatever happened

One process at a time retrains into a models folder. The bundle depends on corpus, feedback and
settings alone, and the model in use decides only whether it is published: so a mail that is taken
out of its folder leaves no trace in the next one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from milter.errors import BundleError
from training.data import Example, digest, read_corpus
from training.feedback import receipts
from training.feedback.collect import collect
from training.feedback.examples import as_examples
from training.feedback.mails import Collected, Fate
from training.feedback.settings import FeedbackSettings
from training.figures import KNOWN
from training.fit import FitSettings
from training.in_use import InUse, has_current, open_in_use
from training.jobs import Jobs
from training.last import Last, recall, remember
from training.lock import writing
from training.publish import publish, write_bundle
from training.trial import Material, Progress, Trial, run_trial
from training.versions import versions


class Outcome(StrEnum):
    """How a retrain ended."""

    PUBLISHED = "published"
    REFUSED = "refused"  # the gate holds the candidate back; the old model stays
    SAME = "same"  # the candidate is the model in use
    UNCHANGED = "unchanged"  # --if-changed, and nothing has changed
    NOTHING = "nothing"  # no feedback, and the model in use has learned none either


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, with what."""

    folders: Sequence[Path]
    models: Path
    corpus: Path
    feedback: FeedbackSettings = FeedbackSettings()
    fit: FitSettings = FitSettings()
    if_changed: bool = False
    force: bool = False
    jobs: Jobs = 1


@dataclass(frozen=True, slots=True)
class Retrained:
    """What came of it. ``version`` is in use now, ``before`` was; both may be empty.

    ``refusals``: why the gate held the candidate back, a sentence each. ``notes``: what else its
    reader should know. ``trial`` is None where nothing was fitted.
    """

    outcome: Outcome
    version: str
    before: str
    refusals: tuple[str, ...]
    notes: tuple[str, ...]
    fates: list[Fate]
    trial: Trial | None = None


def retrain(order: Order, progress: Progress) -> Retrained:
    """Learn from the feedback folders; publish what the gate lets pass.

    Raises ``CoopError`` where it cannot be tried at all; then nothing has changed.
    """
    with writing(order.models):
        base = read_corpus(order.corpus)
        collected = collect(
            order.folders,
            order.feedback,
            force=order.force,
            base=base,
            progress=lambda done: progress("collecting", done, done),
        )
        in_use, notes = _in_use(order.models)
        material = _material(base, collected, order.feedback)
        given = _digest(material, order.fit)
        found = _skip(order, in_use, material, given) or _tried(order, in_use, material, progress)
        found = replace(found, notes=(*collected.notes, *notes, *found.notes))
        found = replace(found, fates=_fates(found, collected.fates, in_use))
        receipts.write_receipts(order.models, found.fates)
        if found.trial:
            remember(order.models, Last(given, found.outcome, found.version, found.refusals))
        return found


def _in_use(models: Path) -> tuple[InUse | None, list[str]]:
    """The model in use, if there is one that can be opened, and a note if it cannot."""
    if not has_current(models):
        return None, ["No model is in use; the corpus alone stands in for one to compare with."]
    try:
        return open_in_use(models), []
    except BundleError as error:
        return None, [f"{error}; to compare with, the corpus alone stands in for it."]


def _material(base: list[Example], collected: Collected, settings: FeedbackSettings) -> Material:
    feedback = as_examples(collected.mails, settings.shared_domains)
    moved = {mail.key: mail.moved for mail in collected.mails}
    when = [moved[example.key] for example in feedback]
    return Material(base, feedback, when, collected.senders)


def _digest(material: Material, settings: FitSettings) -> str:
    """Of all that a candidate is made of: mails, settings, libraries and our own code."""
    filed = [[example.name, str(example.day)] for example in material.feedback]
    senders = sorted(material.senders)
    given = [digest(material.base), filed, senders, asdict(settings), versions()]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _skip(order: Order, in_use: InUse | None, material: Material, given: str) -> Retrained | None:
    """What there is to say where nothing is to be fitted; None if something is."""
    version = in_use.bundle.version if in_use else ""
    if not material.feedback and not (in_use and in_use.known):
        return Retrained(Outcome.NOTHING, version, version, (), (), [])
    last = recall(order.models)
    if not order.if_changed or last is None or last.given != given:
        return None
    if last.outcome == Outcome.REFUSED and last.version != version:
        return None  # beside another model it may be good enough
    return Retrained(Outcome.UNCHANGED, version, version, last.refusals, (), [])


def _tried(order: Order, in_use: InUse | None, material: Material, progress: Progress) -> Retrained:
    """Fit a candidate, and publish it if it is good."""
    trial = run_trial(material, in_use, order.fit, order.jobs, progress)
    before = in_use.bundle.version if in_use else ""
    found = Retrained(Outcome.REFUSED, before, before, trial.refusals, (), [], trial)
    if trial.refusals:
        return found
    try:
        version = _publish(order, trial)
    except BundleError as error:  # its proof: what open eyes would see in its judgements
        return replace(found, refusals=(str(error),))
    outcome = Outcome.SAME if version == before else Outcome.PUBLISHED
    return replace(found, outcome=outcome, version=version, notes=_notes(order, trial))


def _notes(order: Order, trial: Trial) -> tuple[str, ...]:
    """How the candidate differs from one that has learned all in full; empty if it does not."""
    found = []
    for label in ("fake", "wanted"):
        number = sum((example.label == "fake") == (label == "fake") for example in trial.left_out)
        if number:
            found.append(
                f"Left out of what was filed as {label}: {number}. All other mails speak against "
                "that, and with it the candidate was refused. The receipts say which."
            )
    if trial.settings != order.fit:
        found.append(
            "Corrections count less in this model than they usually do: with their full weight the "
            "candidate was refused."
        )
    return tuple(found)


def _publish(order: Order, trial: Trial) -> str:
    folder = write_bundle(order.models, trial.candidate, trial.material.examples, trial.settings)
    publish(order.models, folder.name)
    return folder.name


def _fates(found: Retrained, fates: Sequence[Fate], in_use: InUse | None) -> list[Fate]:
    """The fates as they are now: learned into which model, or held back with the candidate."""
    if not found.refusals:
        left_out = {example.key for example in found.trial.left_out} if found.trial else set()
        return receipts.settled(fates, found.version, left_out)
    known = in_use.known if in_use else frozenset()
    return [
        replace(fate, model=found.before)
        if fate.outcome == "learned" and fate.key[:KNOWN] in known
        else receipts.turned_down([fate])[0]
        for fate in fates
    ]

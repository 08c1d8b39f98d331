"""Which candidate is put to the gate: the boldest that the corpus bears, whatever is in use."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from bench import families
from harness.feedback import outcome
from learning.retraining import (
    SETTINGS,
    file_mail,
    octets,
    pitch,
    run,
    wanted_mail,
)

from training import gate, trial
from training.compare import Judgements
from training.data import Example
from training.feedback import receipts
from training.gate import Check, Part
from training.retrain import Outcome
from training.trial import Material, Trial

pytest_plugins = ["learning.fixtures"]

_REFUSED = Check("test", False, "The test refuses it.")
_PASSED = Check("test", True, "The test lets it pass.")


def _refuse_while(monkeypatch: pytest.MonkeyPatch, label: str, mails: int) -> None:
    """The gate refuses candidates with more than so many ``mails`` of a label."""

    def corrections(examples: list[Example], *_: Judgements) -> Check:
        found = sum(example.label == label for example in examples)
        return _REFUSED if found > mails else _PASSED

    monkeypatch.setattr(gate, "corrections", corrections)


def test_a_pitch_filed_as_wanted_is_left_out_when_it_keeps_the_rest_from_being_learned(
    feedback: Path, models: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *campaign, sibling = families.mails("fragefuchs", "learn")
    for number, mail in enumerate(campaign):
        file_mail(feedback, "fake", f"fox{number}", mail)
    kept = file_mail(feedback, "none", "kept", wanted_mail())
    other = shutil.copytree(models, tmp_path / "other")
    expected = run(feedback, other, corpus)
    other_sender = re.sub(rb"(?m)^From:.*$", b"From: a@nobody.example", sibling)  # none is cleared
    slip = file_mail(feedback, "none", "slip", other_sender)
    _refuse_while(monkeypatch, "none", 1)
    found = run(feedback, models, corpus)
    assert (found.outcome, found.refusals) == (Outcome.PUBLISHED, ())
    assert "Left out of what was filed as wanted: 1." in found.notes[-1]
    fates = {Path(fate.source).name: outcome(fate) for fate in receipts.load(models)}
    assert (fates[slip.name], fates[kept.name]) == ("refused/alone", "learned")
    assert octets(models, found.version) == octets(other, expected.version)


def _tried(labels: list[str], unseen: list[list[float]], corpus: list[list[float]]) -> Trial:
    """A trial with so much in it as is looked at to find mails that stand alone."""
    mails = [Example(f"feedback/{n}", label, "", "", b"") for n, label in enumerate(labels)]
    unused = cast(Any, None)
    verdicts = np.array(["none"] * len(mails))
    return Trial(
        material=Material([], mails, [0.0] * len(mails)),
        views=unused,
        settings=SETTINGS,
        candidate=unused,
        reference=unused,
        before=Judgements(np.array(corpus), verdicts),
        after=unused,
        unseen=Judgements(np.array(unseen), verdicts),
        parts=[],
        of_corpus=unused,
        checks=[_REFUSED],
    )


def test_what_is_filed_as_wanted_stays_where_only_other_corrections_say_fake() -> None:
    """Whoever files an owner's newsletters as fake must not get that owner's letters left out."""
    fake, doubtful, none = [0.95, 0.01, 0.04], [0.6, 0.1, 0.3], [0.02, 0.03, 0.95]
    tried = _tried(
        ["none", "none", "genuine", "none", "fake", "fake"],
        [fake, fake, fake, doubtful, none, fake],
        [none, doubtful, doubtful, fake, fake, none],
    )
    assert trial._either_way(tried).tolist() == [False, True, True, False, True, False]
    assert trial._as_fake(tried).tolist() == [False, False, False, False, True, False]


def test_where_all_in_full_is_refused_corrections_count_less(
    feedback: Path, models: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = iter([_REFUSED, _PASSED, _PASSED])
    monkeypatch.setattr(gate, "floor", lambda parts: next(checks))
    found = run(feedback, models, corpus)
    assert found.outcome == Outcome.PUBLISHED
    assert "count less in this model" in found.notes[-1]
    assert {fate.outcome for fate in receipts.load(models)} == {"learned"}
    manifest = json.loads((models / found.version / "manifest.json").read_text())
    assert manifest["settings"]["feedback_weight"] == SETTINGS.feedback_weight / 4
    assert next(checks, None) is None


def test_the_model_in_use_has_the_last_word(
    feedback: Path, models: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The most cautious one is put to it even if the corpus alone would be better."""

    def floor(parts: list[Part]) -> Check:
        seen.append(sum(part.before for part in parts))
        return _REFUSED if len(seen) <= refused else _PASSED

    seen: list[int] = []
    monkeypatch.setattr(gate, "floor", floor)
    refused = 3
    assert run(feedback, models, corpus).outcome == Outcome.REFUSED
    assert len(seen) == 3
    seen.clear()
    refused = 2
    assert run(feedback, models, corpus).outcome == Outcome.PUBLISHED


def test_what_was_in_use_before_leaves_no_trace_though_a_candidate_is_refused(
    feedback: Path, models: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that has learned the stray mail would let the bolder candidate pass."""
    stray = file_mail(feedback, "fake", "stray", wanted_mail())
    learned = shutil.copytree(models, tmp_path / "learned")
    assert run(feedback, learned, corpus).outcome == Outcome.PUBLISHED
    kept = gate.corrections

    def corrections(examples: list[Example], before: Judgements, after: Judgements) -> Check:
        if len(examples) > 7 and (before.verdicts != "fake").any():
            return _REFUSED
        return kept(examples, before, after)

    monkeypatch.setattr(gate, "corrections", corrections)
    file_mail(feedback, "fake", "new", pitch(60))
    versions = [run(feedback, place, corpus).version for place in (models, learned)]
    fates = {Path(fate.source).name: outcome(fate) for fate in receipts.load(learned)}
    assert fates[stray.name] == "refused/alone"
    assert octets(models, versions[0]) == octets(learned, versions[1])

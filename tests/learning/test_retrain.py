"""One retrain: what is learned, published, refused, forgotten, and told of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from harness.feedback import outcome
from learning.retraining import (
    file_mail,
    file_pitches,
    octets,
    pitch,
    run,
    wanted_mail,
)

from milter.spam.bundle import open_models
from milter.spam.judge import judge_content
from training import gate
from training.cli import main
from training.compare import Judgements
from training.data import Example
from training.feedback import receipts
from training.gate import Check
from training.history import current
from training.lock import writing
from training.report_retrain import page
from training.retrain import Outcome

pytest_plugins = ["learning.fixtures"]


def test_what_is_filed_is_learned_and_used(feedback: Path, models: Path, corpus: Path) -> None:
    before = current(models)
    unseen = pitch(99)
    score = judge_content(unseen, open_models(models), 9.0).score
    found = run(feedback, models, corpus)
    assert (found.outcome, found.before, found.refusals) == (Outcome.PUBLISHED, before, ())
    assert current(models) == found.version != before
    fates = receipts.load(models)
    assert {(fate.outcome, fate.model) for fate in fates} == {("learned", found.version)}
    assert len(fates) == 6
    now = judge_content(unseen, open_models(models), 9.0).score
    assert score
    assert now
    assert now.fake > score.fake + 0.3


def test_same_folders_same_octets_whatever_the_jobs(
    feedback: Path, models: Path, corpus: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(models, tmp_path / "other")
    file_pitches(feedback, range(12))
    one = run(feedback, models, corpus)
    two = run(feedback, other, corpus, jobs=2)
    assert one.trial
    assert "On the 5 newest mails" in one.trial.checks[-1].told
    assert one.version == two.version
    assert octets(models, one.version) == octets(other, two.version)


def test_a_mail_alone_against_all_others_is_left_out(
    feedback: Path, models: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(models, tmp_path / "other")
    expected = run(feedback, other, corpus)
    stray = file_mail(feedback, "fake", "stray", wanted_mail())
    kept = gate.corrections

    def corrections(examples: list[Example], before: Judgements, after: Judgements) -> Check:
        if len(examples) > 6:
            return Check("stray", False, "The stray spoils it.")
        return kept(examples, before, after)

    monkeypatch.setattr(gate, "corrections", corrections)
    found = run(feedback, models, corpus)
    assert (found.outcome, found.refusals) == (Outcome.PUBLISHED, ())
    assert "Left out of what was filed as fake: 1." in found.notes[-1]
    fates = {Path(fate.source).name: outcome(fate) for fate in receipts.load(models)}
    assert fates.pop(stray.name) == "refused/alone"
    assert set(fates.values()) == {"learned"}
    assert octets(models, found.version) == octets(other, expected.version)


def test_a_mail_taken_out_leaves_no_trace(
    feedback: Path, models: Path, corpus: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(models, tmp_path / "other")
    never = run(feedback, other, corpus)
    slip = file_mail(feedback, "none", "slip", pitch(50), 1.9e9)
    had = run(feedback, models, corpus)
    slip.unlink()
    forgot = run(feedback, models, corpus)
    assert had.version != forgot.version == never.version
    assert octets(models, forgot.version) == octets(other, never.version)
    assert [f.reason for f in receipts.load(models) if f.outcome == "withdrawn"] == ["gone"]


def test_when_all_is_taken_out_the_corpus_alone_is_in_use_again(
    feedback: Path, models: Path, corpus: Path
) -> None:
    alone = current(models)
    run(feedback, models, corpus)
    shutil.rmtree(feedback / "fake")
    assert run(feedback, models, corpus).version == alone == current(models)


def test_with_no_feedback_there_is_nothing_to_do(
    models: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty" / "fake").mkdir(parents=True)
    arguments = ["retrain", "--feedback", str(tmp_path / "empty"), "--models", str(models)]
    before = current(models)
    assert main([*arguments, "--corpus", str(corpus)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert current(models) == before


def test_if_changed(feedback: Path, models: Path, corpus: Path) -> None:
    first = run(feedback, models, corpus, if_changed=True)
    assert first.outcome == Outcome.PUBLISHED
    again = run(feedback, models, corpus, if_changed=True)
    assert again.outcome == Outcome.UNCHANGED
    assert again.trial is None
    assert {fate.model for fate in again.fates} == {first.version}
    assert run(feedback, models, corpus).outcome == Outcome.SAME
    file_mail(feedback, "fake", "new", pitch(60))
    assert run(feedback, models, corpus, if_changed=True).outcome == Outcome.PUBLISHED


def test_refused_the_old_model_stays(
    feedback: Path,
    models: Path,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reasons are told each time, also where a timer finds that nothing has changed."""
    reason = "The candidate is worse in fake in de: 1 of 9 found, 5 by the model in use."
    monkeypatch.setattr(gate, "floor", lambda parts: Check("languages", False, reason))
    before = current(models)
    arguments = ["retrain", "--feedback", str(feedback), "--models", str(models)]
    arguments += ["--corpus", str(corpus), "--jobs", "1"]
    for more in ([], ["--if-changed"]):
        assert main(arguments + more) == 3
        assert reason in capsys.readouterr().err
        assert current(models) == before
        found = {(fate.outcome, fate.reason) for fate in receipts.load(models)}
        assert found == {("refused", "gate")}
    assert {path.name for path in models.iterdir() if path.is_dir()} == {before}


def test_what_an_earlier_model_learned_stays_learned_when_the_next_is_refused(
    feedback: Path, models: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(feedback, models, corpus)
    file_mail(feedback, "fake", "new", pitch(60))
    monkeypatch.setattr(gate, "floor", lambda parts: Check("languages", False, "No."))
    assert run(feedback, models, corpus).outcome == Outcome.REFUSED
    fates = receipts.load(models)
    assert sum(fate.model == first.version for fate in fates) == 6
    assert sum(fate.reason == "gate" for fate in fates) == 1


def test_a_forged_date_names_no_bundle(feedback: Path, models: Path, corpus: Path) -> None:
    file_mail(feedback, "fake", "forged", pitch(70, "Thu, 31 Dec 2099"), 1.8e9)
    assert run(feedback, models, corpus).version < "2027.02"


def test_a_damaged_model_in_use_is_replaced(feedback: Path, models: Path, corpus: Path) -> None:
    (models / current(models) / "weights.npz").write_bytes(b"x")
    found = run(feedback, models, corpus)
    assert found.outcome == Outcome.PUBLISHED
    assert any("stands in" in note for note in found.notes)


def test_two_at_once(
    feedback: Path, models: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from training import lock

    arguments = ["retrain", "--feedback", str(feedback), "--models", str(models)]
    with writing(models):
        held = set(lock._HELD)
        lock._HELD.clear()  # as another process would see it
        assert main([*arguments, "--corpus", str(corpus)]) == 2
        lock._HELD.update(held)
    assert "another coop-train" in capsys.readouterr().err


def test_the_page_tells_all_and_escapes_it(feedback: Path, models: Path, corpus: Path) -> None:
    evil = pitch(80).replace(b"<album80@", b"<<script>alert(1)</script>@")
    file_mail(feedback, "fake", "evil", evil)
    file_mail(feedback, "fake", "broken", b"\0\1\2")
    found = run(feedback, models, corpus)
    text = page(found)
    assert "<script" not in text
    for told in ("The gate", "Won / tied / lost", "Curves", "not-a-mail", "speak more for fake"):
        assert told in text
    assert "sammelheft" in text
    assert "Whose mail is believed less" in text
    assert "album0.example" in text
    assert page(found) == text

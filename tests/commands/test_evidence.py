"""``coop-verdict evidence``: what is measured, what arms quarantine, and what does not."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from scipy.stats import beta
from spam.tiny import FAKE, NAME, NONE, write_models

from milter import cli, evidence
from milter.binomial import needed, upper_bound
from milter.config import Settings, load
from milter.errors import JournalError
from milter.evidence import Arming, Evidence, decide, percent, standing

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with models and index below ``tmp_path``."""
    models = write_models(tmp_path / "models")
    path = tmp_path / "settings.toml"
    text = f"[model]\nfolder = '{models}'\n[journal]\nfolder = '{tmp_path / 'state'}'\n"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def run(config: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs the command: exit status, standard output and standard error."""

    def run_it(*arguments: object) -> tuple[int, str, str]:
        status = cli.main(["evidence", "--config", str(config), *map(str, arguments)])
        return status, *capfd.readouterr()

    return run_it


def settings(config: Path, **policy: object) -> Settings:
    return load(config, {"policy": policy})


def mails(folder: Path, wanted: int, fake: int = 0) -> Path:
    """A Maildir with so many mails, each with a text of its own."""
    (folder / "new").mkdir(parents=True)
    (folder / "cur").mkdir()
    for number in range(wanted + fake):
        text = (FAKE if number < fake else NONE) + b"Number %d, with regards.\r\n" % number
        (folder / "cur" / f"{number}:2,S").write_bytes(text)
    return folder


def manifest(config: Path, **counts: tuple[int, int]) -> None:
    """A manifest beside the tiny model; ``counts``: mails, called fake; by label."""
    cells = {label: {"mails": of, "fake": fake} for label, (of, fake) in counts.items()}
    told = {"out_of_fold": {"by_language": {"de": cells}}}
    path = config.with_name("models") / NAME / "manifest.json"
    path.write_text(json.dumps(told), encoding="utf-8")


# --- the bound


@pytest.mark.parametrize("of", [1, 2, 7, 100, 2995, 40_000])
def test_the_bound_is_that_of_clopper_and_pearson(of: int) -> None:
    for seen in {0, 1, 2, of // 10, of // 2, of - 1} & set(range(of)):
        assert upper_bound(seen, of) == pytest.approx(beta.ppf(0.95, seen + 1, of - seen), rel=1e-8)
    assert upper_bound(of, of) == 1.0


def test_of_nothing_nothing_is_known() -> None:
    assert upper_bound(0, 0) == 1.0


def test_the_rule_of_three() -> None:
    assert upper_bound(0, 3000) == pytest.approx(3 / 3000, rel=0.01)


@pytest.mark.parametrize("budget", [0.5, 0.01, 0.001, 0.00003])
@pytest.mark.parametrize("seen", [0, 1, 5])
def test_what_is_needed_is_just_enough(budget: float, seen: int) -> None:
    mails = needed(budget, seen)
    assert upper_bound(seen, mails) <= budget < upper_bound(seen, mails - 1)


# --- the command


def test_what_is_measured_is_told_and_kept(run: Run, config: Path, tmp_path: Path) -> None:
    status, out, err = run(mails(tmp_path / "inbox", 98, 2))
    assert (status, err) == (cli.OK, "")
    first, *named, look, verdict = out.splitlines()
    bound = percent(float(beta.ppf(0.95, 3, 98)))
    assert first == (
        f"Model {NAME} called 2 of 100 wanted mails fake: "
        f"with 95 % confidence at most {bound} of such mail."
    )
    assert sorted(line.partition("  1.00  ")[2] for line in named) == [
        str(tmp_path / "inbox" / "cur" / f"{number}:2,S") for number in (0, 1)
    ]
    assert "take it out" in look
    assert f"at most {bound}" in verdict
    assert f"{needed(0.001):,} mails with none called fake" in verdict
    assert f"or {needed(0.001, 2):,} with 2." in verdict
    found = evidence.measured(tmp_path / "state")
    assert found
    assert (found.model, found.mails, found.called_fake) == (NAME, 100, 2)
    assert standing(load(config), NAME).why == verdict


def test_the_filters_user_can_read_what_root_measured(run: Run, tmp_path: Path) -> None:
    run(mails(tmp_path / "inbox", 1))
    kept = tmp_path / "state"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert (kept / evidence.NAME).stat().st_mode & 0o777 == 0o644
    assert [path.name for path in kept.iterdir()] == [evidence.NAME]


def test_copies_count_once(run: Run, tmp_path: Path) -> None:
    """Also with another header; and as fake, if one of them is called so."""
    folder = mails(tmp_path / "inbox", 3, 1)
    copy = (folder / "cur" / "2:2,S").read_bytes()
    (folder / "new" / "copy").write_bytes(b"Received: by example.org\r\n" + copy)
    text = b"\r\n\r\nDear webmaster, here are some words that weigh nothing at all.\r\n"
    (folder / "new" / "fake").write_bytes(b"Subject: one backlink" + text)
    (folder / "new" / "wanted").write_bytes(b"Subject: one hello" + text)
    _, out, _ = run(folder)
    assert "called 2 of 5 wanted mails fake" in out
    assert "Not counted: 2 copies of mails with the same text, and 0 mails with too" in out


def test_what_cannot_be_judged_shows_nothing(run: Run, tmp_path: Path) -> None:
    folder = mails(tmp_path / "inbox", 3)
    (folder / "new" / "short").write_bytes(b"Subject: ok\r\n\r\n")
    assert "called 0 of 3 wanted mails fake" in run(folder)[1]


def test_with_nothing_measured_the_old_evidence_stays(run: Run, tmp_path: Path) -> None:
    run(mails(tmp_path / "inbox", 3))
    before = (tmp_path / "state" / evidence.NAME).read_bytes()
    status, out, err = run(tmp_path / "none")
    assert (status, out) == (cli.INCOMPLETE, "")
    assert "No such file or directory" in err
    assert "nothing was measured" in err
    assert (tmp_path / "state" / evidence.NAME).read_bytes() == before


def test_an_unreadable_file_is_told_and_the_others_count(run: Run, tmp_path: Path) -> None:
    status, out, err = run(mails(tmp_path / "inbox", 3), tmp_path / "gone\x1b.eml")
    assert status == cli.INCOMPLETE
    assert "called 0 of 3" in out
    assert "No such file" in err
    assert "\x1b" not in err


def test_a_folder_that_cannot_be_written_is_a_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    status, out, err = run(mails(tmp_path / "inbox", 3))
    assert (status, out) == (cli.REFUSED, "")
    (line,) = err.splitlines()
    assert line.startswith(f"coop-verdict: {tmp_path / 'state' / evidence.NAME} cannot be written")


# --- what arms


ENOUGH = Evidence("m", 3000, 0, 1.0)
THIN = Evidence("m", 2000, 0, 1.0)
BAD = Evidence("m", 1000, 5, 1.0)
CASES = [
    (None, None, False),
    (ENOUGH, None, True),
    (ENOUGH, BAD, True),  # own mail before the corpus
    (Evidence("other", 3000, 0, 1.0), None, False),  # another model's
    (THIN, None, False),
    (THIN, ENOUGH, True),
    (None, ENOUGH, True),
    (None, THIN, False),
    (BAD, ENOUGH, False),  # the corpus does not outweigh own mail
    (Evidence("other", 1000, 5, 1.0), ENOUGH, True),
    (Evidence("m", 4800, 1, 1.0), None, True),
    (Evidence("m", 4700, 1, 1.0), None, False),
]


@pytest.mark.parametrize(("own", "corpus", "armed"), CASES)
def test_what_arms(own: Evidence | None, corpus: Evidence | None, armed: bool) -> None:
    found = decide("m", 0.001, own, corpus)
    assert (found.armed, found.forced) == (armed, False)
    assert found.why.startswith("Quarantine is armed" if armed else "Quarantine is not armed")
    forced = decide("m", 0.001, own, corpus, forced=True)
    assert (forced.armed, forced.forced) == (True, not armed)
    assert ("force_quarantine" in forced.why) is not armed


def test_after_a_new_model_it_says_whose_evidence_it_was() -> None:
    why = decide("m", 0.001, Evidence("older", 3000, 0, 1.0), THIN).why
    assert "what was measured on your own is of model older" in why


def test_the_manifest_counts_all_wanted_mail(config: Path) -> None:
    manifest(config, fake=(9000, 9000), genuine=(1000, 0), none=(1900, 0))
    assert not standing(load(config), NAME).armed
    manifest(config, fake=(9000, 9000), genuine=(1000, 0), none=(2000, 0))
    found = standing(load(config), NAME)
    assert found.armed
    assert "called fake 0 of 3,000 of the corpus (at most 0.0998 %)" in found.why


@pytest.mark.parametrize(
    "text",
    ["", "null", "{}", "[1]", '{"out_of_fold": {"by_language": []}}', "[" * 5000, "\x00"],
)
def test_a_manifest_that_tells_nothing_arms_nothing(text: str, config: Path) -> None:
    (config.with_name("models") / NAME / "manifest.json").write_text(text)
    found = standing(load(config), NAME)
    assert not found.armed
    assert f"nothing is known of model {NAME}" in found.why


@pytest.mark.parametrize("cell", [(None, 0), (4000.5, 0), (4000, -4000), (1, 5000), ("4", "0")])
def test_counts_that_can_be_none_arm_nothing(cell: tuple[int, int], config: Path) -> None:
    manifest(config, genuine=cell, none=(4000, 0))
    assert f"nothing is known of model {NAME}" in standing(load(config), NAME).why


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"model": "m", "mails": "3000", "called_fake": 0, "when": 1}']
)
def test_damaged_evidence_arms_nothing_and_says_so(text: str, config: Path) -> None:
    (folder := config.with_name("state")).mkdir()
    (folder / evidence.NAME).write_text(text)
    with pytest.raises(JournalError):
        evidence.measured(folder)
    found = standing(load(config), NAME)
    assert not found.armed
    assert str(folder / evidence.NAME) in found.why


def test_the_shipped_model_has_figures() -> None:
    """The bundle that comes with the filter tells of its wanted mails, so all formats agree."""
    default = load(None)
    version = (default.model.folder / "current").read_text().strip()
    found = evidence.out_of_fold(default.model.folder / version)
    assert found
    assert found.mails > 1000


# --- asked before each mail


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def keep(config: Path, mails: int, model: str = NAME) -> None:
    evidence.store(config.with_name("state"), Evidence(model, mails, 0, 1.0))


def test_it_looks_again_when_evidence_is_written_anew(config: Path) -> None:
    clock = Clock()
    arming = Arming(load(config), clock)
    assert not arming(NAME)
    keep(config, 3000)
    assert not arming(NAME)  # not twice within a second
    clock.now += 1.0
    assert arming(NAME)
    assert not arming("another-model")  # a new model is looked up at once
    assert arming(NAME)
    (config.with_name("state") / evidence.NAME).unlink()
    clock.now += 1.0
    assert not arming(NAME)


def test_a_look_within_the_second_is_not_on_the_disk(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arming = Arming(load(config), Clock())
    arming(NAME)
    arming("another-model")
    monkeypatch.setattr(evidence, "standing", None)
    monkeypatch.setattr(Path, "stat", None)
    assert not any(arming(version) for version in (NAME, "another-model") for _ in range(10))


def test_a_change_is_told_once(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    arming = Arming(settings(config, recipients={"anna@example.org": "quarantine"}), clock)
    caplog.set_level(logging.INFO, "milter.evidence")
    for count in (0, 0, 0, 3000, 3000, 10, 10):
        if count:
            keep(config, count)
        clock.now += 2.0
        arming(NAME)
    levels = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert [level for level, _ in levels] == ["WARNING", "INFO", "WARNING"]
    assert levels[0][1].endswith("What would be held is tagged until then.")
    assert re.match(r"Quarantine is armed: .* 0 of 3,000", levels[1][1])


def test_nobody_is_warned_who_asked_for_no_quarantine(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "milter.evidence")
    assert not Arming(load(config))(NAME)
    assert caplog.records == []


def test_in_shadow_nothing_is_said_to_be_tagged(
    config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert not Arming(settings(config, default="quarantine", shadow=True))(NAME)
    (record,) = caplog.records
    assert "tagged" not in record.getMessage()


def test_force_is_told_loudly(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert Arming(settings(config, default="quarantine", force_quarantine=True))(NAME)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "force_quarantine" in record.getMessage()

"""The settings of feedback: what they take, and what they say of what they do not take."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from milter.errors import SettingsError
from training import cli
from training.feedback.settings import FeedbackSettings, annotated, load


def test_no_file_and_an_empty_one_mean_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[filter]\nlisten = "127.0.0.1:10025"\n')
    assert load(None) == load(path) == FeedbackSettings()


def test_the_sample_has_the_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["config"]) == 0
    path = tmp_path / "x.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == annotated()
    assert load(path) == FeedbackSettings()
    assert all(len(line) <= 100 or line[0] != "#" for line in annotated().splitlines())
    assert set(tomllib.loads(annotated())) == {"feedback"}


def test_values_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('[feedback]\nfake = ["Müll"]\nowner_quota = 7\nnear_duplicate = 1\n')
    settings = load(path)
    assert (settings.fake, settings.owner_quota, settings.near_duplicate) == (("Müll",), 7, 1.0)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(
        "[feedback]\nfakes = 1\nowner_quota = true\nnear_duplicate = 1.5\nown_domains = 'a'\n"
        "subject_tag = 5\nfake = ['']\ngenuine = ['No_Cooperation']\n"
    )
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert [fault.removeprefix(f"{path}: [feedback] ") for fault in caught.value.faults] == [
        "fakes: unknown; did you mean fake?",
        "owner_quota: must be a whole number above 0, not True",
        "near_duplicate: must be a share above 0, 1 at most, not 1.5",
        "own_domains: must be a list of texts in quotes, not 'a'",
        "subject_tag: must be a text in quotes, not 5",
        "fake: must be a list of names with letters in them, not ['']",
        "none: 'No-Cooperation' is a name for genuine already",
    ]


@pytest.mark.parametrize(
    ("octets", "fault"),
    [(b"[feedback", "not TOML"), (b"\xff", "not UTF-8"), (b"feedback = 1", "must be a section")],
)
def test_files_that_are_none(tmp_path: Path, octets: bytes, fault: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(octets)
    with pytest.raises(SettingsError, match=fault):
        load(path)
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "none.toml")

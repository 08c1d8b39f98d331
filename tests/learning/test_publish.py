"""Bundles on disk: written aside, proved, published, rolled back, kept and removed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from learning.small import SETTINGS, examples, fitted
from spam import tiny

from milter.errors import BundleError
from milter.spam.bundle import open_models
from training.cli import main
from training.history import current, predecessor
from training.lock import ModelsInUse, writing
from training.publish import publish, rollback, write_bundle

FILES = ["bundle.json", "manifest.json", "weights.npz"]


def written(models: Path, temperature: float = 1.0) -> str:
    """Write a bundle; its version."""
    return write_bundle(models, fitted(temperature), examples(), SETTINGS).name


def published(models: Path, count: int, keep: int = 10) -> list[str]:
    """Write and publish ``count`` bundles, one second apart; their versions."""
    versions = []
    for number in range(count):
        versions.append(written(models, 1 + number / 10))
        os.utime(models / versions[-1] / "bundle.json", (1000 + number, 1000 + number))
        publish(models, versions[-1], keep)
    return versions


def bundles(models: Path) -> set[str]:
    return {path.name for path in models.iterdir() if path.is_dir()}


@contextmanager
def another_writer(models: Path) -> Iterator[None]:
    """Somebody else holds the lock of the folder."""
    with (models / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_publish_names_it_and_tells_what_was_before(tmp_path: Path) -> None:
    one, two = published(tmp_path, 2)
    assert (tmp_path / "current").read_text() == f"{two}\n"
    assert predecessor(tmp_path) == one
    assert [line.split()[0] for line in (tmp_path / "history").read_text().splitlines()] == [
        one,
        two,
    ]
    assert not list(tmp_path.glob(".new*")) + list(tmp_path.glob(".old*"))


def test_published_again_is_not_its_own_predecessor(tmp_path: Path) -> None:
    one, two = published(tmp_path, 2)
    publish(tmp_path, two)
    publish(tmp_path, "current")
    assert (current(tmp_path), predecessor(tmp_path)) == (two, one)


def test_rollback_goes_back_and_back(tmp_path: Path) -> None:
    one, two, three = published(tmp_path, 3)
    assert rollback(tmp_path) == two == current(tmp_path)
    assert rollback(tmp_path) == one == current(tmp_path)
    with pytest.raises(BundleError, match="nothing is known to have been in use before"):
        rollback(tmp_path)
    publish(tmp_path, three)
    assert rollback(tmp_path) == one


def test_rollback_after_a_bundle_came_twice(tmp_path: Path) -> None:
    one, two = published(tmp_path, 2)
    publish(tmp_path, one)
    assert [rollback(tmp_path), rollback(tmp_path)] == [two, one]
    assert predecessor(tmp_path) == ""


def test_rollback_from_a_model_that_was_there_before_there_was_a_history(tmp_path: Path) -> None:
    tiny.write_models(tmp_path)
    publish(tmp_path, written(tmp_path))
    assert rollback(tmp_path) == tiny.NAME


def test_rollback_passes_over_what_was_removed_and_refuses_what_is_damaged(tmp_path: Path) -> None:
    one, two, three = published(tmp_path, 3)
    shutil.rmtree(tmp_path / two)
    (tmp_path / one / "weights.npz").write_bytes(b"")
    with pytest.raises(BundleError, match=rf"{one}.weights.npz: its SHA-256"):
        rollback(tmp_path)
    assert current(tmp_path) == three


@pytest.mark.parametrize(
    ("lines", "in_use", "before"),
    [
        ("{0} t\n{1} t\n{2} t\n", 1, 0),  # killed behind the history of publishing 2
        ("{0} t\n", 1, 0),  # killed behind the history of rolling back to 0
        ("", 1, None),  # written by hand
        ("{0}\n\n{1} t more\n", 1, 0),
        ("gone t\n{1} t\n", 1, None),
        ("{1} t\ngone t\n{1} t\n", 1, None),
    ],
)
def test_history_and_current_may_differ(
    tmp_path: Path, lines: str, in_use: int, before: int | None
) -> None:
    versions = published(tmp_path, 3)
    (tmp_path / "history").write_text(lines.format(*versions))
    (tmp_path / "current").write_text(f"{versions[in_use]}\n")
    assert predecessor(tmp_path) == ("" if before is None else versions[before])


@pytest.mark.parametrize("keep", [0, 1, 2, 3])
def test_old_bundles_are_removed(tmp_path: Path, keep: int) -> None:
    versions = published(tmp_path, 5, keep)
    assert bundles(tmp_path) == set(versions[-max(keep, 1) - 1 :])
    assert open_models(tmp_path).version == versions[-1]


def test_current_and_predecessor_stay_however_old_and_other_folders_too(tmp_path: Path) -> None:
    one, two, _, four = published(tmp_path, 4)
    shutil.copytree(tmp_path / two, tmp_path / "my-copy")
    publish(tmp_path, one, keep=1)
    assert bundles(tmp_path) == {one, four, "my-copy"}
    assert rollback(tmp_path) == four


def test_a_marked_bundle_stays_until_its_mark_is_taken_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, _, three = published(tmp_path, 3)
    (tmp_path / one / "keep").touch()
    four = written(tmp_path, 1.9)
    publish(tmp_path, four, keep=1)
    assert bundles(tmp_path) == {one, three, four}
    assert main(["list", "--models", str(tmp_path)]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if one in line and "kept" in line]
    (tmp_path / one / "keep").unlink()
    publish(tmp_path, four, keep=1)
    assert bundles(tmp_path) == {three, four}


@pytest.mark.parametrize("what", ["absurd", "damaged", "named otherwise", "missing", "no name"])
def test_what_is_no_sound_bundle_is_not_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    (one,) = published(tmp_path, 1)
    other = fitted(1.5, intercept=np.array([9.0, 0, 0])) if what == "absurd" else fitted(1.5)
    two = write_bundle(tmp_path, other, examples(), SETTINGS).name
    if what == "damaged":
        (tmp_path / two / "weights.npz").write_bytes(b"PK")
    elif what == "named otherwise":
        two = (tmp_path / two).rename(tmp_path / "other").name
    elif what == "missing":
        shutil.rmtree(tmp_path / two)
    elif what == "no name":
        two = "../x"
    assert main(["publish", two, "--models", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert what != "absurd" or "calls an ordinary mail fake" in line
    assert current(tmp_path) == one


def test_the_same_model_again_touches_nothing_but_its_manifest(tmp_path: Path) -> None:
    (one,) = published(tmp_path, 1)
    before = {name: (tmp_path / one / name).stat().st_ino for name in FILES}
    (tmp_path / one / "manifest.json").write_text("{}")
    assert written(tmp_path) == one
    after = {name: (tmp_path / one / name).stat().st_ino for name in FILES}
    assert [name for name in FILES if before[name] != after[name]] == ["manifest.json"]
    assert json.loads((tmp_path / one / "manifest.json").read_text())["version"] == one
    assert sorted(path.name for path in (tmp_path / one).iterdir()) == FILES


def test_a_damaged_one_is_written_anew_and_another_one_is_not_overwritten(tmp_path: Path) -> None:
    (one,) = published(tmp_path, 1)
    (tmp_path / one / "weights.npz").unlink()
    assert written(tmp_path) == one
    assert open_models(tmp_path).version == one
    facts = tmp_path / one / "bundle.json"
    facts.write_text(facts.read_text().replace('"unsure": 0.5', '"unsure": 0.6'))
    with pytest.raises(BundleError, match="another model has this name"):
        written(tmp_path)
    assert open_models(tmp_path).thresholds.unsure == 0.6


def test_the_second_writer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = published(tmp_path, 2)
    with another_writer(tmp_path):
        with pytest.raises(ModelsInUse):
            written(tmp_path, 3.0)
        for command in (["publish", one], ["rollback"]):
            assert main([*command, "--models", str(tmp_path)]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert "another coop-train" in line
        assert main(["list", "--models", str(tmp_path)]) == 0
    assert current(tmp_path) == two
    publish(tmp_path, one)


def test_a_writer_may_hold_the_lock_over_several_steps(tmp_path: Path) -> None:
    with writing(tmp_path):
        publish(tmp_path, written(tmp_path))
        with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with another_writer(tmp_path):
        pass


def test_each_file_is_on_the_disk_before_its_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut would show: nothing gets its name before its octets are safe."""
    synced: set[int] = set()
    fsync, rename = os.fsync, Path.rename

    def fsync_noted(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def rename_checked(self: Path, target: Path) -> Path:
        if self.name.startswith(".new-"):
            paths = [self, *self.iterdir()] if self.is_dir() else [self]
            assert {path.stat().st_ino for path in paths} <= synced
        synced.discard(tmp_path.stat().st_ino)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    monkeypatch.setattr(Path, "rename", rename_checked)
    publish(tmp_path, written(tmp_path))
    assert tmp_path.stat().st_ino in synced  # and the names behind the last of them


def test_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = published(tmp_path, 3)
    (tmp_path / one / "weights.npz").unlink()
    (tmp_path / two / "manifest.json").write_text("[]")
    assert main(["list", "--models", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    row = {version: next(x for x in out.splitlines() if version in x) for version in (one, two)}
    assert "unusable" in row[one]
    assert "previous" in row[two]
    assert "0 of 4" in next(line for line in out.splitlines() if three in line)
    assert f"{one}/weights.npz" in out.replace("\n", "")
    (tmp_path / "current").write_text("gone\n")
    assert main(["list", "--models", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "current unusable" in next(line for line in out.splitlines() if " gone " in line)


def test_commands_say_what_they_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = published(tmp_path, 2)
    assert main(["rollback", "--models", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"current: {one}\n"
    assert main(["publish", two, "--keep", "0", "--models", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"current: {two}\n"
    nowhere = tmp_path / "nowhere"
    for command in (["list"], ["rollback"], ["publish", one]):
        assert main([*command, "--models", str(nowhere)]) == 2
        assert str(nowhere) in capsys.readouterr().err
    assert not nowhere.exists()

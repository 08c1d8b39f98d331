"""``fetch-models.sh`` of ``deploy/several-hosts``: ``current`` always names a whole bundle."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness.postfix import need
from spam import tiny

from milter.spam.bundle import open_models

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "several-hosts"
OLD, NEW = "2026.11.01-older", "2026.11.02-newer"
# An rsync that fails when it is called for the nth time, as when the network does.
_BREAKING = """#!/bin/sh
echo x >>"$0.calls"
[ "$(wc -l <"$0.calls")" = {number} ] && exit 30
exec {rsync} "$@"
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The models folder of who trains, with one bundle."""
    need("rsync", "rsync")
    folder = tmp_path / "training"
    published(folder, OLD)
    return folder


@pytest.fixture
def host(tmp_path: Path, source: Path) -> Path:
    """A filter host's, which has that bundle."""
    folder = tmp_path / "host"
    assert fetch(source, folder) == 0
    return folder


def published(models: Path, version: str) -> None:
    tiny.write_bundle(models / version, version=version)
    (models / "current").write_text(f"{version}\n")


def fetch(source: Path, folder: Path, **environment: str) -> int:
    command = ["sh", str(EXAMPLE / "fetch-models.sh"), str(source), str(folder)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True).returncode


def test_a_published_bundle_comes(source: Path, host: Path) -> None:
    assert open_models(host).version == OLD
    published(source, NEW)
    assert fetch(source, host) == 0
    assert open_models(host).version == NEW


def test_a_rollback_comes_too_and_what_is_cleared_away_goes(source: Path, host: Path) -> None:
    published(source, NEW)
    fetch(source, host)
    (source / "current").write_text(f"{OLD}\n")
    shutil.rmtree(source / NEW)
    assert fetch(source, host) == 0
    assert open_models(host).version == OLD
    assert not (host / NEW).exists()


@pytest.mark.parametrize(("breaks_at", "in_use"), [(1, OLD), (2, OLD), (3, NEW)])
def test_what_breaks_off_leaves_a_whole_bundle_in_use(
    breaks_at: int, in_use: str, source: Path, host: Path, tmp_path: Path
) -> None:
    breaking = tmp_path / "bin" / "rsync"
    breaking.parent.mkdir()
    breaking.write_text(_BREAKING.format(number=breaks_at, rsync=shutil.which("rsync")))
    breaking.chmod(0o755)
    published(source, NEW)
    shutil.rmtree(source / OLD)  # so long ago that it is not kept any more
    path = f"{breaking.parent}:{os.environ['PATH']}"
    assert fetch(source, host, PATH=path) != 0
    assert open_models(host).version == in_use
    assert fetch(source, host) == 0
    assert open_models(host).version == NEW


def test_a_source_that_is_not_there_changes_nothing(tmp_path: Path, host: Path) -> None:
    assert fetch(tmp_path / "nowhere", host) != 0
    assert open_models(host).version == OLD


def test_systemd_finds_no_fault_in_its_units() -> None:
    need("systemd-analyze", "systemd")
    units = sorted(map(str, EXAMPLE.glob("coop-verdict-models.*")))
    assert len(units) == 2
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")

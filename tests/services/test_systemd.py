"""The units of deploy/systemd, as systemd reads them."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from harness.postfix import need

from milter.cli import main as coop_verdict

UNITS = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
TIMERS = sorted(path.name for path in UNITS.glob("*.timer"))
INSTALLED = "/opt/coop-verdict/.venv/bin/coop-verdict"
# Of 100: what systemd itself calls a medium exposure begins there (systemd-analyze security).
EXPOSED = 40


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units with the command that is here in place of the installed one."""
    need("systemd-analyze", "systemd")
    command = str(Path(sys.executable).with_name("coop-verdict"))
    for path in UNITS.glob("*.*"):
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, command))
    return tmp_path


def analysed(*arguments: str) -> str:
    """What ``systemd-analyze`` has to say; fails where it fails."""
    done = subprocess.run(
        ["systemd-analyze", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_systemd_finds_no_fault(units: Path) -> None:
    found = [str(path) for path in units.glob("*.*") if path.suffix != ".conf"]
    assert len(found) > len(SERVICES) + len(TIMERS) - 1
    assert analysed("verify", "--man=no", "--recursive-errors=no", *found) == ""


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_shut_in(units: Path, name: str) -> None:
    told = ["security", "--offline=yes", "--no-pager", f"--threshold={EXPOSED}"]
    analysed(*told, str(units / name))


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_is_the_same_user_with_the_same_bars(name: str) -> None:
    """They work on the same files; none is laxer than another. A unit has to be whole by itself:
    bars in a file beside it would be missing where somebody copies one file."""
    assert bars(name) == bars("coop-verdict.service")


def bars(name: str) -> list[str]:
    lines = [line for line in (UNITS / name).read_text().splitlines() if not line.startswith("#")]
    return lines[lines.index("User=coop-verdict") : lines.index("MemoryMax=1G") + 1]


@pytest.mark.parametrize("name", SERVICES)
def test_each_command_is_one(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [
        line for line in (UNITS / name).read_text().splitlines() if line.startswith("ExecStart=")
    ]
    program, *words = shlex.split(line.removeprefix("ExecStart="))
    assert program == INSTALLED
    with pytest.raises(SystemExit) as ended:
        coop_verdict([*words, "--help"])
    assert ended.value.code == 0
    assert "--config" in capsys.readouterr().out


@pytest.mark.parametrize("name", TIMERS)
def test_each_timer_has_its_service(name: str) -> None:
    assert f"{Path(name).stem}.service" in SERVICES


def test_the_user_is_made_and_is_in_the_group(tmp_path: Path) -> None:
    need("systemd-sysusers", "systemd")
    (tmp_path / "etc").mkdir()
    (tmp_path / "usr/lib/sysusers.d").mkdir(parents=True)
    conf = (UNITS / "coop-verdict.sysusers.conf").read_text()
    (tmp_path / "usr/lib/sysusers.d/coop-verdict.conf").write_text(conf)
    command = ["systemd-sysusers", f"--root={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    passwd, group = ((tmp_path / "etc" / name).read_text() for name in ("passwd", "group"))
    assert re.search(r"^coop-verdict:.*:/var/lib/coop-verdict:/usr/sbin/nologin$", passwd, re.M)
    assert re.search(r"^coop-quarantine:.*:coop-verdict$", group, re.M)

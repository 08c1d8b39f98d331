"""``coop-verdict digest``: what it sends, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from digest.held import ANNA, BERTA, DAY, NOW, hold, tokens

from milter import cli
from milter.config import load
from milter.digest.links import Links
from milter.quarantine.store import Quarantine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs ``coop-verdict digest`` with all folders below ``tmp_path`` and a Maildir behind it."""

    def run_it(*arguments: str, enabled: bool = True) -> tuple[int, str, str]:
        config = tmp_path / "settings.toml"
        config.write_text(
            f"[filter]\nhostname = 'mx.example.org'\nmaildir = '{tmp_path / 'mail'}'\n"
            f"[quarantine]\nfolder = '{tmp_path / 'quarantine'}'\n"
            f"[review]\nstate = '{tmp_path / 'review'}'\n"
            f"[digest]\nenabled = {str(enabled).lower()}\n"
        )
        status = cli.main(["digest", "--config", str(config), *arguments])
        return status, *capfd.readouterr()

    for name in ("tmp", "new", "cur"):
        (tmp_path / "mail" / name).mkdir(parents=True)
    return run_it


def delivered(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "mail" / "new").iterdir())]


def test_it_is_off_by_default(command: Run, quarantine: Quarantine, tmp_path: Path) -> None:
    hold(quarantine, ANNA)
    assert not load(None).digest.enabled
    assert command(enabled=False) == (cli.OK, "No digest is sent: [digest] enabled is false.\n", "")
    assert delivered(tmp_path) == []


def test_the_command_sends_once(command: Run, quarantine: Quarantine, tmp_path: Path) -> None:
    (item,) = hold(quarantine, ANNA)
    assert command() == (cli.OK, "1 digests sent.\n", "")
    assert command() == (cli.OK, "0 digests sent.\n", "")
    (mail,) = delivered(tmp_path)
    (token,) = tokens(mail)
    link = Links.kept_in(tmp_path / "review").read(token, NOW - 10 * 365 * DAY)
    assert link
    assert (link.item, link.recipient) == (item, ANNA)


def test_a_dry_run_changes_nothing(command: Run, quarantine: Quarantine, tmp_path: Path) -> None:
    hold(quarantine, ANNA, BERTA)
    hold(quarantine, ANNA)
    wanted = f"{ANNA}: 2 newly held\n{BERTA}: 1 newly held\n2 digests would be sent.\n"
    for enabled in (False, True):
        assert command("--dry-run", enabled=enabled) == (cli.OK, wanted, "")
    assert delivered(tmp_path) == []
    assert not (tmp_path / "review").exists()
    assert command()[1] == "2 digests sent.\n"


def test_with_no_quarantine_there_is_nothing_to_tell(command: Run) -> None:
    assert command() == (cli.OK, "0 digests sent.\n", "")


def test_a_refusal_names_no_full_address(
    command: Run, quarantine: Quarantine, tmp_path: Path
) -> None:
    hold(quarantine, ANNA)
    (tmp_path / "mail" / "tmp").rmdir()
    status, out, err = command()
    assert (status, out) == (cli.INCOMPLETE, "0 digests sent.\n")
    assert "somebody at 'example.org' was not sent and is tried at the next run: Maildir" in err
    assert ANNA not in err

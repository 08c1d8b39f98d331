"""The Sieve script files fakes, and only fakes, as Dovecot's own interpreter runs it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.postfix import need

pytestmark = pytest.mark.sieve

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "sieve" / "coop-verdict.sieve"


@pytest.fixture
def folder_for_nobody() -> Iterator[Path]:
    """Started by root, sieve-test becomes nobody, who cannot enter pytest's own folders."""
    with tempfile.TemporaryDirectory(prefix="coop-sieve-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "conf").write_text(
            f"mail_uid = nobody\nmail_gid = nogroup\nfirst_valid_gid = 0\n"
            f"mail_home = {folder}\nmail_location = maildir:{folder}/mails\n"
        )
        (folder / "mails").mkdir()
        (folder / "mails").chmod(0o777)
        yield folder


@pytest.mark.parametrize(
    ("verdict", "folder"),
    [
        ("X-Coop-Verdict: fake; score=0.97; model=x\n", "Pitches"),
        ("X-Coop-Verdict: fake\n", "Pitches"),
        (
            "X-Coop-Verdict: fake; asks=link,publication,mention,review;\n offers=link\n",
            "Pitches",
        ),
        ("X-Coop-Verdict: unsure; score=0.80\n", "INBOX"),
        ("X-Coop-Verdict: none; score=0.01\n", "INBOX"),
        ("X-Coop-Verdict: genuine; score=0.01\n", "INBOX"),
        ("X-Coop-Verdict: unscored; reason=timeout\n", "INBOX"),
        ("", "INBOX"),
    ],
)
def test_only_fakes_are_filed(folder_for_nobody: Path, verdict: str, folder: str) -> None:
    need("sieve-test", "dovecot-sieve")
    mail = folder_for_nobody / "mail"
    mail.write_text(f"{verdict}From: a@example.org\nSubject: fake;\n\nText\n")
    command = ["sieve-test", "-c", str(folder_for_nobody / "conf"), str(SCRIPT), str(mail)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"store message in folder: {folder}" in done.stdout, done.stdout

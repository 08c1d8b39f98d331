"""The filter hands mail on to a real Dovecot through LMTP."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.filter import running_filter
from harness.ports import free_port, listens, wait_until
from harness.postfix import need

pytestmark = pytest.mark.dovecot

_NOBODY = 65534
_CONF = """
base_dir = {run}/base
log_path = {run}/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
mail_location = maildir:{run}/mail/%u
first_valid_uid = 1
first_valid_gid = 1
userdb {{
  driver = passwd-file
  args = username_format=%u {run}/users
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {run}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@pytest.fixture
def dovecot() -> Iterator[tuple[int, Path]]:
    """A private Dovecot with the mailbox owner@example.net: its LMTP port and its folder."""
    need("lmtp", "dovecot-lmtpd")
    run, port = Path(tempfile.mkdtemp(prefix="coop-dovecot-")), free_port()
    run.chmod(0o755)
    for name in ("base", "mail"):
        (run / name).mkdir()
    os.chown(run / "mail", _NOBODY, _NOBODY)
    (run / "users").write_text(f"owner@example.net::{_NOBODY}:{_NOBODY}::{run}/mail::\n")
    (run / "conf").write_text(_CONF.format(run=run, port=port))
    command = ["dovecot", "-F", "-c", str(run / "conf")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), "Dovecot up")
            yield port, run
        finally:
            process.terminate()
    shutil.rmtree(run, ignore_errors=True)


def test_mail_reaches_the_mailbox(dovecot: tuple[int, Path], tmp_path: Path) -> None:
    port, run = dovecot
    text = "Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"
    with (
        running_filter(tmp_path, "", "--next-hop", f"lmtp:127.0.0.1:{port}") as running,
        smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client,
    ):
        people = ["nobody@example.net", "owner@example.net", "other@example.net"]
        refused = client.sendmail("a@example.org", people, text)
    assert refused["nobody@example.net"][0] == 550  # Dovecot's own word
    assert refused["other@example.net"][0] == 452  # the filter's: one recipient a mail
    (mail,) = (run / "mail" / "owner@example.net" / "new").iterdir()
    assert b"X-Coop-Verdict: none" in mail.read_bytes()

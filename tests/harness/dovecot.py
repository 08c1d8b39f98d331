"""A private Dovecot: takes mail by LMTP, and shows it by IMAP to whoever has the password."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.ports import free_port, listens, wait_until
from harness.postfix import need

PASSWORD = "written-for-this-test"  # noqa: S105 - opens mailboxes that live as long as the test
_NOBODY = 65534

_CONF = """
base_dir = {run}/base
log_path = {run}/log
protocols = {protocols}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
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
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""
_IMAP = """
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


@dataclass(frozen=True)
class Dovecot:
    """Its ports for LMTP and IMAP (0 without IMAP), and the folder with everything of it."""

    lmtp: int
    imap: int
    run: Path

    @property
    def mail(self) -> Path:
        """The folder with a Maildir for each user."""
        return self.run / "mail"

    @property
    def log(self) -> str:
        """Its log so far."""
        path = self.run / "log"
        return path.read_text() if path.exists() else ""


@contextmanager
def running_dovecot(*users: str, imap: bool = False, conf: str = "") -> Iterator[Dovecot]:
    """Dovecot with a mailbox for each of ``users`` until the block ends.

    ``conf``: more settings; ``{run}`` in them stands for the folder of this Dovecot.
    """
    need("lmtp", "dovecot-lmtpd")
    if imap:
        need("imap", "dovecot-imapd")
    run = Path(tempfile.mkdtemp(prefix="coop-dovecot-"))
    dovecot = Dovecot(free_port(), free_port() if imap else 0, run)
    try:
        _write(dovecot, users, conf)
        command = ["dovecot", "-F", "-c", str(run / "conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                ports = [port for port in (dovecot.lmtp, dovecot.imap) if port]
                wait_until(lambda: all(map(listens, ports)), "Dovecot up")
                yield dovecot
            finally:
                process.terminate()
    finally:
        shutil.rmtree(run, ignore_errors=True)


def _write(dovecot: Dovecot, users: tuple[str, ...], more: str) -> None:
    run = dovecot.run
    run.chmod(0o755)  # the mail processes run as nobody and must get through
    for name in ("base", "mail"):
        (run / name).mkdir()
    os.chown(run / "mail", _NOBODY, _NOBODY)
    account = f"{{user}}:{{{{PLAIN}}}}{PASSWORD}:{_NOBODY}:{_NOBODY}::{run}/mail/{{user}}::"
    accounts = [account.format(user=user) for user in users]
    (run / "users").write_text("\n".join(accounts) + "\n")
    protocols, conf = ("lmtp imap", _CONF + _IMAP) if dovecot.imap else ("lmtp", _CONF)
    ports = {"lmtp": dovecot.lmtp, "imap": dovecot.imap}
    text = conf.format(run=run, protocols=protocols, **ports) + more.replace("{run}", str(run))
    (run / "conf").write_text(text)

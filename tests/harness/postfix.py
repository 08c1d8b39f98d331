"""A private Postfix: own settings, queue, log and mailbox, on loopback, ended by its own pid."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from harness.ports import free_port, listens, wait_until

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "postfix"
_NOBODY = 65534

_MAIN = """
compatibility_level = 3.6
queue_directory = {run}/queue
data_directory = {run}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {run}/mail.log
maillog_file_prefixes = {run}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.example.test
mydestination =
alias_maps =
mynetworks = 127.0.0.0/8
virtual_mailbox_domains = example.net
virtual_mailbox_base = {run}/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
smtp_tls_security_level =
smtpd_tls_security_level =
"""

# What every Postfix runs besides smtpd, without chroot.
_MASTER = """
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
lmtp      unix  -       -       n       -       -       lmtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """Its port for senders, the ports that it and the filter know each other by, its folder."""

    port: int
    filter_port: int
    behind_port: int
    run: Path

    @property
    def log(self) -> str:
        """Its log so far."""
        path = self.run / "mail.log"
        return path.read_text() if path.exists() else ""

    def mails(self) -> list[bytes]:
        """The mails in the mailbox."""
        return [path.read_bytes() for path in sorted((self.run / "mail/inbox/new").glob("*"))]

    def wait_for_mails(self, count: int) -> list[bytes]:
        """The mails in the mailbox, once there are ``count``."""
        wait_until(lambda: len(self.mails()) >= count, f"{count} mails\n{self.log}")
        return self.mails()


def need(program: str, package: str) -> None:
    """Skip where ``program`` is missing; fail where the run must have it (REQUIRE_SERVICES=1)."""
    missing = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/dovecot") is None
    reason = f"{program} is missing: install Debian's package {package}"
    if not missing and program == "postfix" and os.geteuid() != 0:
        missing, reason = True, "a private Postfix is started by root only"
    if missing and os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    if missing:  # a developer without the package still runs all other tests
        pytest.skip(reason)


@contextmanager
def running_postfix(
    arrangement: str,
    defaults_behind: bool = False,
    lmtp: int = 0,
    hold: bool = False,
    more: tuple[str, str] = ("", ""),
) -> Iterator[Postfix]:
    """Postfix set up with the files of ``deploy/postfix`` for one arrangement.

    ``defaults_behind``: without what these set against smuggled mails at the listener behind.
    ``lmtp``: the port of who keeps the mailboxes; 0: Postfix does, in one for all. ``hold``: with
    the recipe of ``hold.master.cf``. ``more``: what else is in main.cf and in master.cf. No
    setting stands twice in main.cf, or each process warns of it, and postlogd waits for itself.
    """
    need("postfix", "postfix")
    run = Path(tempfile.mkdtemp(prefix="coop-postfix-"))
    postfix = Postfix(free_port(), free_port(), free_port(), run)
    try:
        _write(postfix, arrangement, defaults_behind, lmtp, hold)
        _append(run, *more)
        _postfix(run, "start")
        wait_until(lambda: listens(postfix.port) and listens(postfix.behind_port), "Postfix up")
        yield postfix
    finally:
        _postfix(run, "stop", check=False)
        shutil.rmtree(run, ignore_errors=True)


def _write(
    postfix: Postfix, arrangement: str, defaults_behind: bool, lmtp: int, hold: bool
) -> None:
    run = postfix.run
    run.chmod(0o755)  # the delivery agent runs as nobody and must get through
    for name in ("etc", "queue", "data", "mail"):
        (run / name).mkdir()
    shutil.chown(run / "data", "postfix")
    os.chown(run / "mail", _NOBODY, _NOBODY)
    main = _MAIN.format(run=run, nobody=_NOBODY)
    master = _MASTER + _with_ports((DEPLOY / f"{arrangement}.master.cf").read_text(), postfix)
    if hold:  # right behind the listener, with which both files end
        held = _with_ports((DEPLOY / "hold.master.cf").read_text(), postfix)
        master += held.replace("/etc/postfix/", f"{run}/etc/")
        shutil.copy(DEPLOY / "hold.regexp", run / "etc" / "coop-hold.regexp")
    if lmtp:
        main += f"virtual_transport = lmtp:inet:127.0.0.1:{lmtp}\n"
    if arrangement == "after-queue":
        main += _with_ports((DEPLOY / "after-queue.main.cf").read_text(), postfix)
        master += f"127.0.0.1:{postfix.port} inet n - n - - smtpd\n"
    if defaults_behind:
        master = re.sub(r"^ +-o smtpd_forbid_bare_newline.*\n", "", master, flags=re.MULTILINE)
    (run / "etc" / "main.cf").write_text(main)
    (run / "etc" / "master.cf").write_text(master)


def _append(run: Path, main: str, master: str) -> None:
    with (run / "etc" / "main.cf").open("a") as file:
        file.write(main)
    with (run / "etc" / "master.cf").open("a") as file:
        file.write(_without_chroot(master))


def _with_ports(text: str, postfix: Postfix) -> str:
    """The file as it is, but for ports, and for chroots, which need files under /var/spool."""
    text = re.sub(r"^smtp( +inet)", rf"127.0.0.1:{postfix.port}\1", text, flags=re.MULTILINE)
    text = text.replace("127.0.0.1:10026", f"127.0.0.1:{postfix.behind_port}")
    text = text.replace("127.0.0.1:10025", f"127.0.0.1:{postfix.filter_port}")
    text = text.replace("[127.0.0.1]:10025", f"[127.0.0.1]:{postfix.filter_port}")
    return _without_chroot(text)


def _without_chroot(text: str) -> str:
    return re.sub(r"^(\S+ +(?:inet|unix) +\S +\S +)y", r"\1n", text, flags=re.MULTILINE)


def _postfix(run: Path, command: str, check: bool = True) -> None:
    done = subprocess.run(
        ["/usr/sbin/postfix", "-c", str(run / "etc"), command], capture_output=True, text=True
    )
    assert not check or done.returncode == 0, done.stderr

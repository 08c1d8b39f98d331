"""A site with three filter hosts, each part on a machine of its own, set up by the example.

The files are those of ``deploy/several-hosts`` as they are, but for folders and for the two ports
that the private Postfix has on loopback.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.netns import Machine, end, network
from harness.ports import listens, wait_until
from harness.postfix import Postfix, need, running_postfix

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "deploy" / "several-hosts"
HOSTS = ("filter-1", "filter-2", "filter-3")
_ADDRESSES = {
    "mx": "10.25.0.1",
    "haproxy": "10.25.0.2",
    "training": "10.25.0.3",
    **{name: f"10.25.0.1{number}" for number, name in enumerate(HOSTS, 1)},
}
SOURCE = f"rsync://{_ADDRESSES['training']}/models"
# Ids that are never used twice tell two deliveries of one mail from two mails; what has to wait is
# tried again soon; nobody is told by mail of filters that are lost.
_POSTFIX_SETTINGS = """
enable_long_queue_ids = yes
in_flow_delay = 0
notify_classes =
queue_run_delay = 2s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
transport_retry_time = 1s
"""
_RSYNC_SETTINGS = "uid = root\nuse chroot = no\n[models]\npath = {path}\nread only = yes\n"
_JUDGED = re.compile(r" verdict=\w+")


@dataclass
class Host:
    """A filter host: its machine, and its folder, in which ``log`` is the filter's."""

    name: str
    machine: Machine
    folder: Path
    arrangement: str
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the filter, in a process group of its own."""
        command = ["setsid", sys.executable, "-m", "milter", "serve", "--config", self._settings()]
        self._process = self.machine.start(command, self.folder / "log")

    def await_start(self) -> None:
        """Wait until it takes mail; fails with its log where it does not come to that."""
        process = self._process
        assert process
        wait_until(lambda: self._listens or process.poll() is not None, f"{self.name} up")
        assert process.poll() is None, self.log

    @property
    def _listens(self) -> bool:
        return " listens on " in self.log

    def kill(self) -> None:
        """SIGKILL to the filter and its workers, as when the power fails."""
        assert self._process
        assert os.getpgid(self._process.pid) == self._process.pid, "the group is not its own"
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Let it end in the orderly way."""
        if self._process:
            end(self._process)

    @property
    def log(self) -> str:
        """What it has written so far, in all its lives."""
        return (self.folder / "log").read_text()

    @property
    def judged(self) -> int:
        """The mails that it has judged so far."""
        return len(_JUDGED.findall(self.log))

    def fetch_models(self) -> str:
        """What the timer does; fails where it fails."""
        return self.machine.run("sh", EXAMPLE / "fetch-models.sh", SOURCE, self.folder / "models")

    def _settings(self) -> Path:
        """The example's, with what differs from host to host."""
        text = (EXAMPLE / "coop-verdict.toml").read_text()
        text = text.replace("10.25.0.11:", f"{self.machine.address}:")
        text = text.replace("filter-1.", f"{self.name}.")
        text = text.replace('"before-queue"', f'"{self.arrangement}"')
        path = self.folder / "coop-verdict.toml"
        path.write_text(text.replace("/var/lib/coop-verdict", str(self.folder)))
        return path


@dataclass
class Site:
    """All of it: ``models`` is the folder of the machine that trains."""

    folder: Path
    machines: dict[str, Machine]
    postfix: Postfix
    models: Path
    hosts: dict[str, Host] = field(default_factory=dict)

    def states(self) -> dict[str, str]:
        """What HAProxy says of each host: UP or DOWN."""
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(str(self.folder / "admin.sock"))
            stats.sendall(b"show stat\n")
            told = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
        rows = csv.DictReader(told.removeprefix("# ").splitlines())
        return {row["svname"]: row["status"].split()[0] for row in rows if row["svname"] in HOSTS}

    def up(self) -> list[str]:
        """The hosts that HAProxy gives mail to."""
        return [name for name, state in self.states().items() if state == "UP"]


@contextmanager
def running_site(folder: Path, arrangement: str = "before-queue") -> Iterator[Site]:
    """Everything, up and running; this thread is on Postfix's machine until the block ends."""
    for program in ("postfix", "haproxy", "rsync"):
        need(program, program)
    need("nft", "nftables")
    with ExitStack() as running:
        machines = running.enter_context(network(_ADDRESSES))
        for machine in machines.values():
            machine.run("nft", "-f", EXAMPLE / "firewall.nft")
        running.enter_context(machines["mx"].entered())
        more = (_POSTFIX_SETTINGS, "")
        postfix = running.enter_context(running_postfix(arrangement, more=more))
        _set_up(postfix, arrangement)
        site = Site(folder, machines, postfix, _models(folder))
        running.enter_context(_model_server(site))
        for name in HOSTS:
            site.hosts[name] = host = _host(site, name, arrangement)
            running.callback(host.end)
            host.start()
        for host in site.hosts.values():
            host.await_start()  # HAProxy takes a host for up until it has looked
        if arrangement == "before-queue":
            running.enter_context(_balancer(site))
            wait_until(lambda: site.up() == list(HOSTS), f"all hosts up: {site.states()}")
        else:
            restart_postfix(site)
        yield site


def _set_up(postfix: Postfix, arrangement: str) -> None:
    """What ``postfix.sh`` does to a Postfix, done to the private one."""
    text = (EXAMPLE / "postfix.sh").read_text()
    text = text.replace("smtp/inet", f"127.0.0.1:{postfix.port}/inet")
    text = text.replace("127.0.0.1:10026", f"127.0.0.1:{postfix.behind_port}")
    settings = os.environ | {"MAIL_CONFIG": str(postfix.run / "etc")}
    for command in (["sh", "-c", text, "postfix.sh", arrangement], ["postfix", "reload"]):
        done = subprocess.run(command, env=settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def restart_postfix(site: Site) -> None:
    """Start Postfix anew, where the filters' name has the addresses that DNS would tell."""
    settings, hosts = str(site.postfix.run / "etc"), site.folder / "hosts"
    addresses = (site.machines[name].address for name in HOSTS)
    hosts.write_text("".join(f"{address} filters.example.org\n" for address in addresses))
    start = 'mount --bind "$0" /etc/hosts && exec postfix -c "$1" start'
    for command in (
        ["postfix", "-c", settings, "stop"],
        ["unshare", "--mount", "sh", "-c", start, str(hosts), settings],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    wait_until(lambda: listens(site.postfix.port), "Postfix up")


def _models(folder: Path) -> Path:
    """The models folder that the hosts fetch from, with the shipped bundle."""
    ignored = shutil.ignore_patterns(".lock", "README.md", "history")
    return Path(shutil.copytree(ROOT / "models", folder / "models", ignore=ignored))


@contextmanager
def _model_server(site: Site) -> Iterator[None]:
    machine, settings = site.machines["training"], site.folder / "rsyncd.conf"
    settings.write_text(_RSYNC_SETTINGS.format(path=site.models))
    command = ["rsync", "--daemon", "--no-detach", f"--config={settings}", "--port=873"]
    with machine.started(command, site.folder / "rsync.log"):
        with machine.entered():
            wait_until(lambda: _connects(machine.address, 873), "rsync up")
        yield


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


def _host(site: Site, name: str, arrangement: str) -> Host:
    folder = site.folder / name
    folder.mkdir()
    host = Host(name, site.machines[name], folder, arrangement)
    host.fetch_models()
    return host


@contextmanager
def _balancer(site: Site) -> Iterator[None]:
    settings = site.folder / "haproxy.cfg"
    text = (EXAMPLE / "haproxy.cfg").read_text()
    text = text.replace("/run/haproxy/admin.sock", str(site.folder / "admin.sock"))
    settings.write_text(text.replace("log /dev/log local0", "log stdout format raw local0"))
    socket_ = site.folder / "admin.sock"
    log = site.folder / "haproxy.log"
    command = ["haproxy", "-db", "-f", settings]
    with site.machines["haproxy"].started(command, log) as process:
        wait_until(lambda: socket_.exists() or process.poll() is not None, "haproxy up")
        assert process.poll() is None, log.read_text()
        yield

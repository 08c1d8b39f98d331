"""The spam filters with Debian packages: rspamd, SpamAssassin behind spampd, bogofilter.

What they learn is kept from run to run (``Place.kept``), for as long as the mails are the same:
learning takes longer than measuring.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.throughput.peers import HERE, Place, Running
from bench.throughput.processes import low_port, missing, run, started
from harness.ports import wait_until

# What would ask the network, or refuse and delay mail; without these it judges as it is shipped.
_OFF = (
    "antivirus arc asn bimi clickhouse dcc dkim dkim_signing dmarc elastic fuzzy_check greylist "
    "hfilter history_redis metadata_exporter metric_exporter mx_check neural p0f ratelimit rbl "
    "replies reputation rspamd_update spf surbl url_redirector"
).split()
_PASSWORD = "q1"  # noqa: S105  # rspamd asks for one; it listens on loopback for minutes
_SPAMASSASSIN = """\
use_bayes 1
bayes_path {folder}/bayes
bayes_auto_learn 0
bayes_auto_expire 0
lock_method flock
use_auto_welcomelist 0
dns_available no
skip_rbl_checks 1
"""


def learned(place: Place, name: str) -> tuple[Path, bool]:
    """A folder that stays for what ``name`` learns from these mails, and whether it has."""
    folder = place.kept / f"learned-{place.mails.digest}" / name
    done = (folder / "done").exists()
    if not done:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for above in (folder, *folder.parents[:2]):
            above.chmod(0o755)  # peers run as users of their own
        print(f"{name} learns (once) ...", file=sys.stderr)
    return folder, done


class Rspamd:
    """rspamd as it is shipped, Bayes in a redis of its own. HTTP at ``port``, and a milter.

    The milter is a Unix socket: over TCP each mail waits some 40 ms more (delayed ACK).
    """

    name = "rspamd"

    def missing(self) -> str:
        return missing({"rspamd": "rspamd", "redis-server": "redis-server"})

    @contextmanager
    def running(self, place: Place, next_hop: int, workers: int = 1) -> Iterator[Running]:
        store, done = learned(place, "rspamd")
        folder = place.own("rspamd")
        if done:  # without its dump redis would start empty, and rspamd be twice as fast
            shutil.copy(store / "dump.rdb", folder)
        with self._started(folder, workers) as (running, controller, redis):
            if not done:
                self._learn(place, controller, redis)
                shutil.copy(folder / "dump.rdb", store)
                (store / "done").touch()
            assert int(run([*redis, "dbsize"])) > 1000, "rspamd's Bayes has lost its words"
            yield running

    @contextmanager
    def _started(
        self, folder: Path, workers: int
    ) -> Iterator[tuple[Running, int, tuple[str | Path, ...]]]:
        judge, control, redis = low_port(), low_port(), low_port()
        _rspamd_settings(folder, judge, control, redis, workers)
        shutil.chown(folder, "_rspamd", "_rspamd")
        store = ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", ""]
        store += ["--appendonly", "no", "--dir", str(folder)]
        places = [f"--var={name}={folder}" for name in ("DBDIR", "RUNDIR", "LOGDIR")]
        judges = ["rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", "/etc/rspamd/rspamd.conf"]
        judges += [f"--var=LOCAL_CONFDIR={folder}", *places]
        socket = folder / "milter.sock"
        with (
            started(store, folder / "redis.log", [redis]) as data,
            started(judges, folder / "out", [judge, control]) as main,
        ):
            wait_until(socket.exists, "rspamd's milter is up")
            running = Running(judge, (main.pid, data.pid), http=True, milter=f"unix:{socket}")
            yield running, control, ("redis-cli", "-p", str(redis))

    def _learn(self, place: Place, controller: int, redis: tuple[str | Path, ...]) -> None:
        client = ["rspamc", "-h", f"127.0.0.1:{controller}", "-P", _PASSWORD]
        run([*client, "learn_spam", place.mails.fake])
        run([*client, "learn_ham", place.mails.other])
        run([*redis, "save"])


def _rspamd_settings(folder: Path, judge: int, control: int, redis: int, workers: int) -> None:
    count = f"count = {workers};\n"
    settings = {
        "worker-normal.inc": f'bind_socket = "127.0.0.1:{judge}";\n{count}',
        "worker-controller.inc": f'bind_socket = "127.0.0.1:{control}";\n'
        f'password = "{_PASSWORD}";\nsecure_ip = "127.0.0.1";\n',
        "worker-proxy.inc": f'bind_socket = "{folder}/milter.sock mode=0666";\nmilter = yes;\n'
        f'upstream "local" {{ default = yes; self_scan = yes; }}\n{count}',
        "redis.conf": f'servers = "127.0.0.1:{redis}";\n',
        "classifier-bayes.conf": f'backend = "redis";\nservers = "127.0.0.1:{redis}";\n'
        "min_learns = 100;\nautolearn = false;\n",
        # The name server is a closed port of this machine.
        "options.inc": f'dns {{ nameserver = ["127.0.0.1:{low_port()}"]; timeout = 0.05s; '
        'retransmits = 1; sockets = 1; }\nfilters = "chartable,regexp";\n',
        "actions.conf": "reject = 999; greylist = 998; add_header = 6;\n",
        "phishing.conf": "phishtank_enabled = false;\n",  # a question for each URL
    } | {f"{module}.conf": "enabled = false;\n" for module in _OFF}
    (folder / "local.d").mkdir()
    for name, text in settings.items():
        (folder / "local.d" / name).write_text(text)


class Spampd:
    """SpamAssassin, local rules and Bayes, behind its SMTP proxy with five children each core."""

    name = "spampd"

    def missing(self) -> str:
        programs = {"spampd": "spampd", "sa-learn": "spamassassin"}
        return missing(programs)

    @contextmanager
    def running(self, place: Place, next_hop: int, workers: int = 1) -> Iterator[Running]:
        settings = self._learned(place)
        folder, port = place.own("spampd"), low_port()
        shutil.chown("/var/cache/spampd", "spampd", "spampd")  # its home; --homedir ends it (2.53)
        command = ["spampd", "--nodetach", f"--host=127.0.0.1:{port}"]
        command += [f"--relayhost=127.0.0.1:{next_hop}", f"--children={5 * workers}"]
        command += ["--maxrequests=1000", "--local-only", "--tagall", "--user=spampd"]
        command += ["--group=spampd", f"--saconfig={settings}", f"--pid={folder}/pid"]
        with (
            self._syslog(folder),
            started(command, folder / "log", [port]) as process,
        ):
            yield Running(port, (process.pid,))

    def _learned(self, place: Place) -> Path:
        store, done = learned(place, "spamassassin")
        settings = store / "local.cf"
        settings.write_text(_SPAMASSASSIN.format(folder=store))
        if not done:
            learn = ["sa-learn", "-C", "/usr/share/spamassassin", "-p", str(settings)]
            learn += ["--siteconfigpath=/etc/spamassassin"]
            run([*learn, "--spam", place.mails.fake])
            run([*learn, "--ham", place.mails.other])
            for path in (store, *store.iterdir()):
                shutil.chown(path, "spampd", "spampd")
            (store / "done").touch()
        return settings

    @contextmanager
    def _syslog(self, folder: Path) -> Iterator[None]:
        """Somebody at /dev/log for as long as it runs, where nobody is: without, it ends."""
        device = Path("/dev/log")
        if device.exists():
            yield
            return
        with started([sys.executable, HERE / "devlog.py"], folder / "devlog.log"):
            wait_until(device.exists, "/dev/log is there")
            yield


class Bogofilter:
    """bogofilter with its defaults; it serves nobody, but is a process a mail or many mails."""

    name = "bogofilter"

    def missing(self) -> str:
        return missing({"bogofilter": "bogofilter"})

    def command(self, place: Place) -> list[str]:
        """Its command with what it has learned; no settings of this machine (-C)."""
        store, done = learned(place, "bogofilter")
        command = ["bogofilter", "-C", "-d", str(store)]
        if not done:
            for option, folder in (("-s", place.mails.fake), ("-n", place.mails.other)):
                run([*command, option, "-B", str(folder)])
            (store / "done").touch()
        return command

"""rspamd's Bayes: a real rspamd with a redis of its own, on loopback, nothing else switched on.

rspamd leaves out some of its tokens about a mail's shape by chance, so its scores differ a little
from run to run.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.filters.peer import FilterError, Judge, Mail, last_line, number_in, run
from harness.ports import free_port, wait_until

# Its own files where they hold what makes tokens; no rules and no modules. The weights only stretch
# what is printed: the answer has six decimals, and the symbol's score is its weight times
# (2p - 1)^4.
_SETTINGS = """\
lua = "{folder}/only.lua";
options {{
  pidfile = "{folder}/rspamd.pid";
  .include "$CONFDIR/options.inc"
  .include(priority=1,duplicate=merge) "{folder}/local.d/options.inc"
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "warning"; }}
.include "$CONFDIR/actions.conf"
.include "$CONFDIR/statistic.conf"
group "statistics" {{
  symbols = {{
    "BAYES_SPAM" {{ weight = 1000000.0; }}
    "BAYES_HAM" {{ weight = -1000000.0; }}
  }}
}}
worker "normal" {{ bind_socket = "127.0.0.1:{judge}"; count = 1; }}
worker "controller" {{ bind_socket = "127.0.0.1:{learn}"; count = 1; secure_ip = "127.0.0.1"; }}
"""
# Behind and above those of options.inc; set beside them, they would only be added. The name server
# is a closed port of this machine: nothing is asked of the network.
_OPTIONS = """\
filters = "";
hs_cache_dir = "{cache}/";
dns {{ nameserver = ["127.0.0.1:{closed}"]; timeout = 0.05s; retransmits = 1; sockets = 1; }}
"""
# Lowered: the 200 mails of each kind below which it says nothing.
_CLASSIFIER = 'servers = "{folder}/redis.sock";\nmin_learns = 1;\nautolearn = false;\n'
# What the rules would load for the classifier: functions that make tokens of a mail's shape.
_LUA = 'require "global_functions" ()\n'

# Learned, too few words to learn from, known already (a copy of a mail in the corpus).
_LEARNED = {200, 204, 208}


@dataclass(frozen=True)
class Running:
    """rspamd and its redis. ``processes``: the worker that judges, and where its tokens are."""

    judge_port: int
    learn_port: int
    processes: Sequence[int]

    def learn(self, mail: Mail) -> None:
        """Learn one mail; "bulk", else rspamd leaves out those that it is already sure of."""
        kind = "learnspam" if mail.fake else "learnham"
        status, said = self._post(self.learn_port, kind, mail.path, {"Learn-Type": "bulk"})
        if status not in _LEARNED:
            raise FilterError(f"rspamd: {status} {said.decode(errors='replace').strip()[:200]}")

    def score(self, path: Path) -> float:
        """The score of BAYES_SPAM, or the negative one of BAYES_HAM; 0 where there is neither."""
        status, said = self._post(self.judge_port, "checkv2", path, {})
        if status != http.HTTPStatus.OK:
            raise FilterError(f"rspamd: {status}")
        symbols = json.loads(said)["symbols"]
        return float(sum(symbols[n]["score"] for n in ("BAYES_SPAM", "BAYES_HAM") if n in symbols))

    def _post(
        self, port: int, command: str, path: Path, fields: dict[str, str]
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", f"/{command}", path.read_bytes(), fields)
            response = connection.getresponse()
            return response.status, response.read()
        except OSError as error:
            raise FilterError(f"rspamd: {error}") from error
        finally:
            connection.close()


class Rspamd:
    """Its rules are left out: they know nothing of pitches, and would be compared with nothing."""

    name = "rspamd's Bayes"
    counted = "an HTTP request to a worker with only the classifier; worker and redis"

    def __init__(self, cache: Path) -> None:
        self._cache = cache  # compiled patterns, the same for all runs

    def missing(self) -> str:
        programs = {"rspamd": "rspamd", "redis-server": "redis-server"}
        absent = [package for name, package in programs.items() if not shutil.which(name)]
        return f"apt install {' '.join(absent)}" if absent else ""

    def version(self) -> str:
        return number_in(run(["rspamd", "--version"]))

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        with self._running(folder) as running:
            for mail in mails:
                running.learn(mail)
            run(["redis-cli", "-s", folder / "redis.sock", "save"])

    @contextmanager
    def judge(self, folder: Path) -> Iterator[Judge]:
        with self._running(folder) as running:
            yield running

    @contextmanager
    def _running(self, folder: Path) -> Iterator[Running]:
        """redis and rspamd in ``folder``, with what was learned there, until the block ends."""
        judge, learn, closed = free_port(), free_port(), free_port()
        self._cache.mkdir(exist_ok=True)
        _write_settings(folder, self._cache, judge, learn, closed)
        with _started(_redis(folder), folder / "redis.out") as redis:
            wait_until(lambda: (folder / "redis.sock").exists(), "redis is up")
            with _started(_rspamd(folder), folder / "rspamd.out") as rspamd:
                ended = rspamd.poll
                wait_until(
                    lambda: ended() is not None or (_answers(judge) and _answers(learn)),
                    "rspamd is up",
                )
                if ended() is not None:
                    raise FilterError(f"rspamd: {last_line(folder / 'rspamd.out')}")
                yield Running(judge, learn, (_worker(rspamd.pid), redis.pid))


def _write_settings(folder: Path, cache: Path, judge: int, learn: int, closed: int) -> None:
    local = folder / "local.d"
    local.mkdir(exist_ok=True)
    (local / "classifier-bayes.conf").write_text(_CLASSIFIER.format(folder=folder))
    (local / "options.inc").write_text(_OPTIONS.format(cache=cache, closed=closed))
    (folder / "only.lua").write_text(_LUA)
    settings = _SETTINGS.format(folder=folder, judge=judge, learn=learn)
    (folder / "rspamd.conf").write_text(settings)


def _redis(folder: Path) -> list[str]:
    """A redis that listens on nothing but a socket in ``folder``."""
    return [
        *("redis-server", "--port", "0", "--unixsocket", f"{folder}/redis.sock"),
        *("--dir", str(folder), "--save", "", "--appendonly", "no"),
    ]


def _rspamd(folder: Path) -> list[str]:
    """-i: it may run as whoever runs this, root included; it hears nobody from elsewhere."""
    places = (f"--var={name}={folder}" for name in ("LOCAL_CONFDIR", "DBDIR", "RUNDIR", "LOGDIR"))
    return ["rspamd", "-f", "-i", "-c", f"{folder}/rspamd.conf", *places]


@contextmanager
def _started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    """Whether a worker of rspamd is ready: its port is open long before."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def _worker(main: int) -> int:
    """The child that judges; rspamd writes into its command line what each child is."""
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    for child in children:
        if b"normal" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise FilterError("rspamd: no worker that judges")

"""Load with kills: no mail may be lost, and every duplicate must have a reason.

    python tests/bench/soak.py [--mails 10000] [--kills 20] [--senders 20] [--seed N]

Mails go to a real filter and on into a real private Postfix; both are killed with SIGKILL in
turns, and started again at once. A mail that gets no 250 is sent again, as an MTA would. In the
end the mailbox is held against what the senders were told. Exit status 1: something was lost,
damaged, refused, or arrived twice for no good reason.

The envelope sender names the mail and the attempt (``soak-MAIL-ATTEMPT@``), so that each copy in
the mailbox can be traced to the one attempt that brought it, and to the reply which that got.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when started as a script

import pytest
from bench.soak_check import SETTLED, Findings, check
from bench.soak_send import Mail, Outcome, attempt, compose
from harness.ports import listens
from harness.postfix import Postfix, running_postfix

STALL_TIMEOUT = 120.0  # seconds without any 250, after which sending is given up
UP_TIMEOUT = 60.0  # seconds until a killed one must be up again, on a loaded machine
DRAIN_TIMEOUT = 600.0  # seconds until Postfix's queue must be empty
PAUSE = (0.05, 0.5)  # seconds until a mail that failed may be sent again

# Added to the private Postfix's main.cf.
_POSTFIX_SETTINGS = """
# Ids that are never used twice tell Postfix's own second delivery from a second mail.
enable_long_queue_ids = yes
# What a kill leaves behind is tried again within seconds, not in the usual minutes.
transport_retry_time = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 5s
queue_run_delay = 2s
# Take mail as fast as it comes; the queue may grow.
in_flow_delay = 0
"""


# What the filter logs for a NextHopUnsure; its 451 4.4.2 behind the dot means nothing else.
_UNSURE_LOG = re.compile("behind our final dot|too slow, all in all")


# --- sending ----------------------------------------------------------------------------


class Load:
    """All mails, sent until each is settled: accepted, or refused for good."""

    def __init__(self, port: int, mails: int, seed: int) -> None:
        self.mails = [Mail(number) for number in range(mails)]
        self.settled = 0
        self._last_settled = time.monotonic()
        self._port = port
        self._seed = seed
        self._waiting = deque(self.mails)

    async def run(self, senders: int) -> None:
        """Send with so many senders at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(senders):
                group.create_task(self._sender())

    async def _sender(self) -> None:
        while self._waiting and not self.stalled:
            mail = self._waiting.popleft()
            content = compose(self._seed, mail.number)
            sender = f"soak-{mail.number}-{len(mail.outcomes)}@example.org"
            mail.outcomes.append(await attempt(self._port, sender, content))
            if mail.outcomes[-1] in SETTLED:
                self.settled += 1
                self._last_settled = time.monotonic()
            else:
                await asyncio.sleep(random.uniform(*PAUSE))
                self._waiting.append(mail)

    @property
    def stalled(self) -> bool:
        """Whether going on is pointless."""
        return time.monotonic() - self._last_settled > STALL_TIMEOUT

    def outcomes(self) -> Counter[Outcome]:
        """How many attempts ended in which way."""
        return Counter(chain.from_iterable(mail.outcomes for mail in self.mails))


# --- killing, and what is left then -----------------------------------------------------


class Supervisor:
    """Runs the filter, and runs it again at once when it was killed, as systemd would."""

    def __init__(self, folder: Path, port: int, next_hop_port: int) -> None:
        self._command = [sys.executable, "-m", "milter", "serve"]
        self._command += ["--listen", f"127.0.0.1:{port}"]
        self._command += ["--next-hop", f"127.0.0.1:{next_hop_port}"]
        self._folder = folder
        self.log_file = folder / "filter.log"  # of all its lives
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """One life after the other, until ``stop``. A filter that ends by itself is a fault."""
        while not self._stopping:
            with self.log_file.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, cwd=self._folder, stdout=log, stderr=log
                )
            try:
                status = await self._process.wait()
            except asyncio.CancelledError:
                self._process.kill()
                raise
            expected = 0 if self._stopping else -signal.SIGKILL
            assert status == expected, f"filter: {status}\n{self.log_file.read_text()[-2000:]}"

    async def kill(self) -> None:
        """SIGKILL, and wait for its end: till then its port may still answer."""
        assert self._process
        self._process.kill()
        await self._process.wait()

    def stop(self) -> None:
        """End it for good, in the orderly way."""
        assert self._process
        self._stopping = True
        self._process.terminate()


async def kill_postfix(postfix: Postfix) -> None:
    """SIGKILL to the master and all its children at once; then start it again."""
    master = int((postfix.run / "queue/pid/master.pid").read_text())
    assert os.getpgid(master) == master, "its group is not its own: others would be killed too"
    os.killpg(master, signal.SIGKILL)
    await until(lambda: not _runs(master))
    fault = await _postfix(postfix, "start")
    assert not fault, fault


def _runs(group: int) -> bool:
    """Whether any process of the group is alive: one that waits for the disk dies late."""
    alive = re.compile(rf"\d+ \(.*\) [^ZX] \d+ {group} ")  # proc(5): state, parent, group
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if alive.match(path.read_text()):
                return True
    return False


async def _postfix(postfix: Postfix, command: str) -> str:
    """Run ``postfix start`` and the like; what it has to say if it fails."""
    process = await asyncio.create_subprocess_exec(
        *("/usr/sbin/postfix", "-c", str(postfix.run / "etc"), command),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = await process.communicate()
    return said.decode() or f"postfix {command} failed" if process.returncode else ""


@dataclass
class Victim:
    """What is killed: it is up again when somebody listens on ``port``."""

    port: int
    kill: Callable[[], Awaitable[None]]
    kills: int = 0


async def kill_in_turns(victims: list[Victim], kills: int, load: Load, rng: random.Random) -> None:
    """One kill in each equal share of the mails, at a random moment in it."""
    for number in range(kills):
        # 0.95: the last ones too shall hit while mails are on their way.
        moment = 0.95 * len(load.mails) * (number + rng.random()) / kills
        await until(lambda moment=moment: load.settled >= moment)
        victim = victims[number % len(victims)]
        await up(victim.port)
        await asyncio.sleep(rng.uniform(0, 0.1))  # else each kill would come right behind a 250
        await victim.kill()
        victim.kills += 1


async def up(port: int) -> None:
    """Wait until somebody listens on ``port``."""
    async with asyncio.timeout(UP_TIMEOUT):
        await until(lambda: listens(port))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody signals."""
    # Conditions are files and processes: no event tells of them.
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def drained(postfix: Postfix) -> bool:
    """Wait until Postfix has delivered everything; False if it does not come to that."""
    deadline = time.monotonic() + DRAIN_TIMEOUT
    folders = [postfix.run / "queue" / name for name in ("incoming", "active", "deferred")]
    looks = 0
    while looks < 2:  # in one look alone a file could hide by moving from folder to folder
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.5)
        looks = 0 if any(map(_is_queued, chain(*(f.rglob("*") for f in folders)))) else looks + 1
    return True


def _is_queued(path: Path) -> bool:
    """Postfix makes a whole queue file executable; one without was cut off by a kill: no mail."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


# --- the whole --------------------------------------------------------------------------


@dataclass
class Run:
    """What one run came to."""

    seed: int
    load: Load
    filter_kills: int
    postfix_kills: int
    seconds: float
    findings: Findings

    def table(self) -> str:
        """The figures, a line each."""
        ends = self.load.outcomes()
        rows: list[tuple[str, object]] = [
            ("seed", self.seed),
            ("mails", len(self.load.mails)),
            ("kills of the filter", self.filter_kills),
            ("kills of Postfix", self.postfix_kills),
            ("seconds until all were settled", f"{self.seconds:.1f}"),
            ("mails a second", f"{len(self.load.mails) / self.seconds:.1f}"),
            ("attempts", ends.total()),
            *((f"  {outcome}", ends[outcome]) for outcome in Outcome),
            ("duplicates", self.findings.duplicates.total() + self.findings.unexplained),
            *((f"  {reason}", count) for reason, count in self.findings.duplicates.items()),
            ("  unexplained", self.findings.unexplained),
            ("lost", self.findings.lost),
            ("damaged", self.findings.damaged),
        ]
        return "\n".join(f"{name:<50}{value:>10}" for name, value in rows)


async def soak(options: argparse.Namespace, postfix: Postfix, supervisor: Supervisor) -> Run:
    """Send and kill; then let Postfix deliver what it has, and check."""
    load = Load(postfix.filter_port, options.mails, options.seed)
    start = time.monotonic()
    filter_kills, postfix_kills = await _send_and_kill(options, load, postfix, supervisor)
    seconds = time.monotonic() - start
    await _postfix(postfix, "start")  # does nothing where it runs, as it should
    empty = await drained(postfix)
    mailbox = (path.read_bytes() for path in (postfix.run / "mail/inbox/new").glob("*"))
    findings = check(load.mails, mailbox)
    findings.faults += [] if empty else ["Postfix's queue does not become empty"]
    findings.faults += _unsure_but_not_logged(load, supervisor.log_file.read_text())
    return Run(options.seed, load, filter_kills, postfix_kills, seconds, findings)


async def _send_and_kill(
    options: argparse.Namespace, load: Load, postfix: Postfix, supervisor: Supervisor
) -> tuple[int, int]:
    """Until all mails are settled; how often the filter was killed, and how often Postfix."""
    judge = Victim(postfix.filter_port, supervisor.kill)
    behind = Victim(postfix.behind_port, lambda: kill_postfix(postfix))
    rng = random.Random(options.seed)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run())
        await up(judge.port)
        killer = group.create_task(kill_in_turns([judge, behind], options.kills, load, rng))
        await load.run(options.senders)
        if load.stalled:  # the moments of the next kills will never come
            killer.cancel()
        await asyncio.wait({killer})
        await up(judge.port)  # one that is still starting would not end in the orderly way
        supervisor.stop()
    return judge.kills, behind.kills


def _unsure_but_not_logged(load: Load, log: str) -> list[str]:
    """The log names no mail that we know, so the numbers are compared."""
    told, logged = load.outcomes()[Outcome.UNSURE], len(_UNSURE_LOG.findall(log))
    return [f"{told} replies 451 4.4.2, but {logged} in the filter's log"] if told > logged else []


def _prepare(postfix: Postfix) -> None:
    """Settings for load and kills."""
    with (postfix.run / "etc" / "main.cf").open("a") as settings:
        settings.write(_POSTFIX_SETTINGS)
    # After a kill, "postfix start" looks through the queue (postsuper, as user postfix). It warns
    # of half a queue file, and gives up if it cannot write that into the log.
    shutil.chown(postfix.run / "mail.log", "postfix")
    fault = asyncio.run(_postfix(postfix, "reload"))
    assert not fault, fault


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, keep the logs where something is wrong."""
    parser = argparse.ArgumentParser(description="Load with kills; see tests/bench/README.md.")
    parser.add_argument("--mails", type=int, default=10000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="coop-soak-"))
    with running_postfix("before-queue") as postfix:
        _prepare(postfix)
        supervisor = Supervisor(folder, postfix.filter_port, postfix.behind_port)
        run = asyncio.run(soak(options, postfix, supervisor))
        (folder / "postfix.log").write_text(postfix.log)
    print(run.table())
    if not run.findings.faults:
        shutil.rmtree(folder)
        return 0
    faults = run.findings.faults
    print(f"\n{len(faults)} faults; logs in {folder}", *faults[:50], sep="\n")
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave no Postfix behind
    try:
        sys.exit(main())
    except pytest.skip.Exception as missing:  # harness.postfix says so what is not installed
        sys.exit(str(missing))

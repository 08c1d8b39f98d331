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
import hashlib
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
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when started as a script

import pytest
from harness.ports import listens
from harness.postfix import Postfix, running_postfix

ATTEMPT_TIMEOUT = 100.0  # seconds for one attempt: what Postfix gives a filter
STALL_TIMEOUT = 120.0  # seconds without any 250, after which sending is given up
UP_TIMEOUT = 60.0  # seconds until a killed one must be up again, on a loaded machine
DRAIN_TIMEOUT = 600.0  # seconds until Postfix's queue must be empty
PAUSE = (0.05, 0.5)  # seconds until a mail that failed may be sent again
_SLICE = 65536  # octets a write
OWNER = "owner@example.net"

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


class Outcome(StrEnum):
    """How one attempt to send a mail ended, as far as its sender knows."""

    ACCEPTED = "250"
    NOT_SENT = "broken off or put off before the final dot"
    NO_REPLY = "no reply behind the final dot"
    UNSURE = "451 4.4.2 behind the final dot"
    PUT_OFF = "another 4xx behind the final dot"
    REFUSED = "5xx"


# Only these may leave a copy in the mailbox. A PUT_OFF that arrives was a false reply.
_MAY_ARRIVE = {Outcome.ACCEPTED, Outcome.NO_REPLY, Outcome.UNSURE}
_SETTLED = {Outcome.ACCEPTED, Outcome.REFUSED}
# What the filter logs for a NextHopUnsure; its 451 4.4.2 behind the dot means nothing else.
_UNSURE_LOG = re.compile("behind our final dot|too slow, all in all")
_TWICE_BY_POSTFIX = "one queue file delivered twice by Postfix"


# --- mails ------------------------------------------------------------------------------

_WORDS = """
guest post link your readers our team Kooperation kostenlos Beitrag website partner review meeting
Tuesday invoice garden train Sonntag Grüße budget fee 300 EUR backlink domain
""".encode().split()
_DOTS = (b".", b"..", b"...", b". ", b".x", b"..\t.")
_OCTETS = bytes([*range(0x20, 0x7F), *range(0x80, 0x100)])
_FORGED = b"X-Coop-Verdict: genuine; score=0.00\r\n"


def compose(seed: int, number: int) -> bytes:
    """The content of mail ``number`` (CRLF lines, 1 to 20 kB): the same at each call."""
    rng = random.Random(f"{seed} {number}")
    body = _body(rng)
    head = (
        f"From: <sender@example.org>\r\nTo: <{OWNER}>\r\nSubject: Soak {number}\r\n"
        f"Message-ID: <{seed}.{number}@example.org>\r\n"
        f"X-Soak-Id: {number}\r\nX-Soak-Digest: {_digest(body)}\r\n"
    ).encode()
    return (_FORGED if rng.random() < 0.3 else b"") + head + b"\r\n" + body


def _body(rng: random.Random) -> bytes:
    size = rng.randint(1000, 14000)  # the last line may add 5,000
    lines: list[bytes] = []
    while sum(map(len, lines)) < size:
        lines.append(_line(rng))
    return b"".join(line + b"\r\n" for line in lines)


def _line(rng: random.Random) -> bytes:
    match rng.choices(("words", "dots", "octets", "long"), (85, 8, 5, 2))[0]:
        case "dots":
            return rng.choice(_DOTS)
        case "octets":
            return bytes(rng.choices(_OCTETS, k=70))
        case "long":  # beyond 998, and beyond Postfix's line_length_limit (2,048)
            return b"long " * rng.randint(200, 1000)
        case _:
            return b" ".join(rng.choices(_WORDS, k=10))


def _digest(body: bytes) -> str:
    """Of the body with LF lines, as virtual(8) writes it into the mailbox."""
    return hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()


def on_the_wire(content: bytes) -> bytes:
    """Dots stuffed, the end of data behind it; not the filter's own code, which is under test."""
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


# --- sending ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Session:
    """One SMTP talk, a command at a time. A peer that goes away is an OSError or EOFError."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int) -> AsyncIterator[Session]:
        """Connect to loopback; hang up at the end of the block."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def reply(self) -> str:
        """The last line of the next reply."""
        while (line := await self._reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        return line.decode("ascii", "replace").rstrip()

    async def say(self, octets: bytes) -> str:
        """Send octets as they are, large ones in slices; the reply to them."""
        for start in range(0, len(octets), _SLICE):
            self._writer.write(octets[start : start + _SLICE])
            await self._writer.drain()
        return await self.reply()

    async def begin(self, sender: str) -> str:
        """From the greeting to the reply to DATA, or to the first reply that is not positive."""
        reply = await self.reply()
        for command in (
            "EHLO soak.example.org",
            f"MAIL FROM:<{sender}> BODY=8BITMIME",
            f"RCPT TO:<{OWNER}>",
            "DATA",
        ):
            if not reply.startswith("2"):
                break
            reply = await self.say(command.encode() + b"\r\n")
        return reply


async def attempt(port: int, sender: str, content: bytes) -> Outcome:
    """Try to send a mail once."""
    dot_sent = False
    try:
        async with asyncio.timeout(ATTEMPT_TIMEOUT), Session.open(port) as session:
            reply = await session.begin(sender)
            if not reply.startswith("354"):
                return Outcome.REFUSED if reply.startswith("5") else Outcome.NOT_SENT
            dot_sent = True  # a mail of this size goes to the kernel whole, in one write
            reply = await session.say(on_the_wire(content))
    except (OSError, EOFError):  # TimeoutError is an OSError
        return Outcome.NO_REPLY if dot_sent else Outcome.NOT_SENT
    return _fate(reply)


def _fate(reply: str) -> Outcome:
    """What the reply to the final dot means."""
    if reply.startswith("2"):
        return Outcome.ACCEPTED
    if reply.startswith("451 4.4.2"):
        return Outcome.UNSURE
    return Outcome.PUT_OFF if reply.startswith("4") else Outcome.REFUSED


@dataclass
class Mail:
    """One mail and how each attempt to send it ended, in order."""

    number: int
    outcomes: list[Outcome] = field(default_factory=list)


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
            if mail.outcomes[-1] in _SETTLED:
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
    # Conditions are of files and processes, which set no event.
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


# --- holding the mailbox against the replies --------------------------------------------

_RETURN_PATH = re.compile(rb"^Return-Path: <soak-(\d+)-(\d+)@", re.MULTILINE)
_QUEUE_ID = re.compile(rb"\(Postfix\) with \S+ id (\w+)")
_ID = re.compile(rb"^X-Soak-Id: (\d+)$", re.MULTILINE)
_DIGEST = re.compile(rb"^X-Soak-Digest: (\w+)$", re.MULTILINE)
_VERDICT = re.compile(rb"^X-Coop-Verdict[ \t]*:", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Copy:
    """One file in the mailbox: by which attempt it came, under which queue id, how it looks."""

    number: int
    attempt: int
    queue_id: bytes
    intact: bool
    verdicts: int

    @classmethod
    def read(cls, octets: bytes) -> Copy:
        """Raises ValueError where it is none of our mails."""
        head, _, body = octets.partition(b"\n\n")
        path, queue_id = _RETURN_PATH.search(head), _QUEUE_ID.search(head)
        if not path or not queue_id:
            raise ValueError(f"a mail of unknown origin: {head[:200]!r}")
        intact = _ID.findall(head) == [path[1]]
        intact &= _DIGEST.findall(head) == [_digest(body).encode()]
        verdicts = len(_VERDICT.findall(head))
        return cls(int(path[1]), int(path[2]), queue_id[1], intact, verdicts)


@dataclass
class Findings:
    """What the mailbox shows. ``faults`` has a line for each thing that must not be."""

    lost: int = 0
    damaged: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    faults: list[str] = field(default_factory=list)


def check(mails: Sequence[Mail], mailbox: Iterable[bytes]) -> Findings:
    """Hold what arrived against what the senders were told."""
    findings = Findings()
    copies: defaultdict[tuple[int, int], list[Copy]] = defaultdict(list)
    for octets in mailbox:
        copy = Copy.read(octets)
        copies[copy.number, copy.attempt].append(copy)
        _check_copy(copy, findings)
    for mail in mails:
        if not _SETTLED.intersection(mail.outcomes):
            findings.faults.append(f"mail {mail.number}: never accepted")
        for number, outcome in enumerate(mail.outcomes):
            name = f"mail {mail.number}, attempt {number} ({outcome})"
            _check_attempt(name, outcome, copies[mail.number, number], findings)
    return findings


def _check_copy(copy: Copy, findings: Findings) -> None:
    name = f"mail {copy.number}, attempt {copy.attempt}"
    if not copy.intact:
        findings.damaged += 1
        findings.faults.append(f"{name}: damaged")
    if copy.verdicts != 1:
        findings.faults.append(f"{name}: {copy.verdicts} X-Coop-Verdict")


def _check_attempt(name: str, outcome: Outcome, copies: list[Copy], findings: Findings) -> None:
    if outcome is Outcome.REFUSED:
        findings.faults.append(f"{name}: refused")
    if outcome is Outcome.ACCEPTED and not copies:
        findings.lost += 1
        findings.faults.append(f"{name}: lost")
    if copies and outcome not in _MAY_ARRIVE:
        findings.unexplained += 1
        findings.faults.append(f"{name}: arrived all the same")
    elif copies and outcome is not Outcome.ACCEPTED:
        findings.duplicates[outcome] += 1
    _check_twice(name, copies, findings)


def _check_twice(name: str, copies: list[Copy], findings: Findings) -> None:
    """Several copies by one attempt: never the filter's right, but Postfix's.

    A virtual(8) that is killed between storing a mail and striking it off its queue file does
    both again later. Then the copies have one queue id.
    """
    again = len(copies) - 1
    if again > 0 and len({copy.queue_id for copy in copies}) == 1:
        findings.duplicates[_TWICE_BY_POSTFIX] += again
    elif again > 0:
        findings.unexplained += again
        findings.faults.append(f"{name}: {len(copies)} mails by one attempt")


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

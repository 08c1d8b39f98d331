"""Three filter hosts under load, of which one is cut off and one is killed: what is it to senders?

    python tests/bench/several_hosts.py [--seconds 20] [--senders 30] [--megabits 1] [--seed N]
        [--plot FILE]

A site as in ``deploy/several-hosts``, each part on a machine of its own (``harness/netns.py``).
Each host's line carries so many megabits a second, and that is what bounds it: so three hosts are
faster than two even where all of them share two processors. Senders send all the time, and send
again what is put off, as an MTA does. Prints mails a second by phases, and what was lost or came
twice (exit status 1 where something is wrong); draws the curve.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when started as a script

import pytest
from bench import soak
from bench.soak import Findings, Mail, Outcome
from harness.several_hosts import HOSTS, ROOT, Site, running_site

# Of each phase the first seconds are not counted: that is what finding out takes.
_SETTLING = 5.0
PATIENCE = 120.0  # seconds for anything that is waited for
_PLOT = ROOT / "build" / "bench" / "several_hosts.svg"
# Which attempt a copy came by, and which host handed it back to Postfix.
_CAME_BY = re.compile(
    rb"^Return-Path: <soak-(\d+)-(\d+)@.*?^Received: from (filter-\d)\.", re.MULTILINE | re.DOTALL
)
# Postfix has no reply to a mail that it gave to a filter; it tells the sender to try again.
_UNANSWERED = re.compile(
    r"proxy-reject: END-OF-MESSAGE: 451 4\.3\.0 .*from=<soak-(\d+)-(\d+)@example\.org>"
)

#: A mail's number, and which attempt to send it this is.
Attempt = tuple[int, int]


# --- sending ----------------------------------------------------------------------------


class Senders:
    """They send to ``port`` all the time; a mail that is not accepted is sent again."""

    def __init__(self, port: int, seed: int) -> None:
        self.mails: list[Mail] = []
        self.accepted: list[float] = []  # when (time.monotonic)
        self.attempts: dict[Attempt, tuple[float, float]] = {}  # from when to when
        self._port = port
        self._seed = seed
        self._enough = False

    async def run(self, count: int) -> None:
        """So many at a time, until ``stop``; then each brings its mail to an end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._sender())

    def stop(self) -> None:
        """Begin no more mails."""
        self._enough = True

    async def more(self, count: int) -> None:
        """Wait until so many more are accepted."""
        goal = len(self.accepted) + count
        await until(lambda: len(self.accepted) >= goal, f"{count} more mails accepted")

    def rate(self, begun: float, ended: float) -> float:
        """Accepted mails a second between two times."""
        return sum(begun <= when < ended for when in self.accepted) / (ended - begun)

    async def _sender(self) -> None:
        while not self._enough:
            mail = Mail(len(self.mails))
            self.mails.append(mail)
            content = soak.compose(self._seed, mail.number)
            while await self._put_off(mail, content):
                pause = random.uniform(*soak.PAUSE)
                await asyncio.sleep(pause)

    async def _put_off(self, mail: Mail, content: bytes) -> bool:
        """Try to send a mail once; whether it has to be sent again."""
        number, begun = len(mail.outcomes), time.monotonic()
        sender = f"soak-{mail.number}-{number}@example.org"
        outcome = await soak.attempt(self._port, sender, content)
        mail.outcomes.append(outcome)
        self.attempts[mail.number, number] = begun, time.monotonic()
        if outcome is Outcome.ACCEPTED:
            self.accepted.append(time.monotonic())
        return outcome not in (Outcome.ACCEPTED, Outcome.REFUSED)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what nobody signals; fails with ``what`` did not happen."""
    try:
        async with asyncio.timeout(PATIENCE):
            await soak.until(condition)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:.0f} s in vain: {what}") from None


# --- what befalls the hosts -------------------------------------------------------------


@dataclass
class Outage:
    """A host was not there, from when to when (time.monotonic)."""

    host: str
    begun: float = field(default_factory=time.monotonic)
    ended: float = math.inf

    def met(self, begun: float, ended: float) -> bool:
        """Whether it was so at any time between two."""
        return begun < self.ended and ended > self.begun


async def is_out(site: Site, host: str) -> None:
    """Wait until HAProxy gives a host no more mail."""
    await until(lambda: host not in site.up(), f"{host} taken out")


async def all_up(site: Site, *outages: Outage) -> None:
    """Wait until all hosts have mail again; then outages are over."""
    await until(lambda: site.up() == list(HOSTS), f"all hosts up; logs in {site.folder}")
    for outage in outages:
        outage.ended = time.monotonic()


# --- holding the mailbox against the replies --------------------------------------------


def check(
    mailbox: Sequence[bytes], log: str, senders: Senders, outages: Sequence[Outage]
) -> Findings:
    """Hold what arrived against what the senders were told; ``log`` is Postfix's.

    A mail that Postfix has put off may have arrived for one reason only (RFC 1047): its filter was
    lost behind the final dot. So Postfix has logged that it has no reply, and the copy came by a
    host that was lost during the attempt.
    """
    came_by: defaultdict[Attempt, set[str]] = defaultdict(set)
    for octets in mailbox:
        if found := _CAME_BY.search(octets):
            came_by[int(found[1]), int(found[2])].add(found[3].decode())
    logged = {(int(mail), int(number)) for mail, number in _UNANSWERED.findall(log)}

    def explained(attempt: Attempt, outcome: Outcome) -> Outcome:
        lost = {outage.host for outage in outages if outage.met(*senders.attempts[attempt])}
        window = attempt in logged and came_by[attempt] <= lost
        return Outcome.NO_REPLY if window and outcome is Outcome.PUT_OFF else outcome

    mails = [
        Mail(mail.number, [explained((mail.number, n), o) for n, o in enumerate(mail.outcomes)])
        for mail in senders.mails
    ]
    return soak.check(mails, mailbox)


async def checked(site: Site, senders: Senders, outages: Sequence[Outage]) -> Findings:
    """The same, once Postfix has delivered all that it has."""
    empty = await soak.drained(site.postfix)
    findings = check(site.postfix.mails(), site.postfix.log, senders, outages)
    findings.faults += [] if empty else ["Postfix's queue does not become empty"]
    return findings


# --- the whole --------------------------------------------------------------------------


@dataclass(frozen=True)
class Phase:
    """How many hosts there were, from when to when (time.monotonic)."""

    name: str
    hosts: int
    begun: float
    ended: float


class Story:
    """What happens to the site, phase by phase of so many seconds."""

    def __init__(self, site: Site, senders: Senders, seconds: float) -> None:
        self.phases: list[Phase] = []
        self.outages: list[Outage] = []
        self._site, self._senders, self._seconds = site, senders, seconds

    async def run(self, count: int) -> None:
        """All of it, with ``count`` senders."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._senders.run(count))
            await self._phases()
            self._senders.stop()

    async def _phases(self) -> None:
        cut, killed = (self._site.hosts[name] for name in HOSTS[1:])
        await self._phase("all three", 3)
        outage = self._begins(cut.name)
        cut.machine.unplug()
        await self._phase("one cut off", 2)
        cut.machine.plug()
        await all_up(self._site, outage)
        await self._phase("it is back", 3)
        outage = self._begins(killed.name)
        killed.kill()
        await self._phase("one killed", 2)
        killed.start()
        await all_up(self._site, outage)
        await self._phase("it is back", 3)

    def _begins(self, host: str) -> Outage:
        self.outages.append(Outage(host))
        return self.outages[-1]

    async def _phase(self, name: str, hosts: int) -> None:
        begun = time.monotonic()
        await asyncio.sleep(_SETTLING + self._seconds)
        self.phases.append(Phase(name, hosts, begun + _SETTLING, time.monotonic()))
        print(f"{name}: {self._rate(self.phases[-1]):.1f} mails a second", file=sys.stderr)

    def _rate(self, phase: Phase) -> float:
        return self._senders.rate(phase.begun, phase.ended)

    def table(self, findings: Findings) -> str:
        """The figures, a line each."""
        all_three = self._rate(self.phases[0])
        lines = [f"{'':<24}{'hosts':>6}{'mails/s':>9}{'of all three':>14}"]
        for phase in self.phases:
            rate = self._rate(phase)
            lines.append(f"{phase.name:<24}{phase.hosts:>6}{rate:>9.1f}{rate / all_three:>14.2f}")
        put_off = len(self._senders.attempts) - len(self._senders.accepted)
        rows = {
            "accepted": len(self._senders.accepted),
            "put off, and sent again": put_off,
            "lost": findings.lost,
            "damaged": findings.damaged,
            "came twice (RFC 1047)": findings.duplicates.total(),
            "came twice, unexplained": findings.unexplained,
        }
        return "\n".join([*lines, "", *(f"{name:<24}{count:>6}" for name, count in rows.items())])

    def plot(self, path: Path) -> None:
        """Accepted mails in each second, and the phases."""
        import matplotlib as mpl

        mpl.use("Agg")
        from matplotlib import pyplot

        start = self.phases[0].begun - _SETTLING
        seconds = range(int(self.phases[-1].ended - start))
        rates = [self._senders.rate(start + second, start + second + 1) for second in seconds]
        picture, panel = pyplot.subplots(figsize=(11, 3.6), layout="constrained")
        panel.step(seconds, rates, where="post", color="#1f4e79")
        for phase in self.phases:
            begun, ended, rate = phase.begun - start, phase.ended - start, self._rate(phase)
            colour = "#1f4e79" if phase.hosts == len(HOSTS) else "#c0392b"
            panel.axvspan(begun, ended, color=colour, alpha=0.1)
            panel.hlines(rate, begun, ended, color="#c0392b", linewidth=1)
            panel.text(begun, 0, f" {phase.name}\n {rate:.1f}/s", va="bottom", fontsize=8)
        panel.set(xlabel="seconds", ylabel="accepted mails a second", ylim=(0, None))
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(path)
        pyplot.close(picture)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, draw; keep the logs where something is wrong."""
    parser = argparse.ArgumentParser(description="Several hosts; see tests/bench/README.md.")
    parser.add_argument("--seconds", type=float, default=20, help="counted in each phase")
    parser.add_argument("--senders", type=int, default=30)
    parser.add_argument("--megabits", type=float, default=1, help="of each host's line")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--plot", type=Path, default=_PLOT)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="coop-several-hosts-"))
    with running_site(folder) as site:
        for host in site.hosts.values():
            host.machine.throttle(options.megabits)
        senders = Senders(site.postfix.port, options.seed)
        story = Story(site, senders, options.seconds)
        asyncio.run(story.run(options.senders))
        findings = asyncio.run(checked(site, senders, story.outages))
        (folder / "postfix.log").write_text(site.postfix.log)
    print(story.table(findings))
    story.plot(options.plot)
    if not findings.faults:
        shutil.rmtree(folder)
        return 0
    print(f"\n{len(findings.faults)} faults; logs in {folder}", *findings.faults[:50], sep="\n")
    return 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: leave nothing behind
    try:
        sys.exit(main())
    except pytest.skip.Exception as missing:  # harness.postfix says so what is not installed
        sys.exit(str(missing))

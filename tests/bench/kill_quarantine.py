"""Is anything lost when the filter is killed while it holds or releases?

    python tests/bench/kill_quarantine.py [--rounds 1000] [--seed N]

In each round a process holds mails for one to three recipients and releases some of them by SMTP,
and is killed with SIGKILL at a random moment. A next hop in a process of its own keeps count of
what it has taken, at varying speed. Then the files are held against what the process had said
before it was killed, everything that is still held is released, and the copies are counted:

- a mail that was said to be held is held, or has been delivered;
- it is delivered twice only if its record ended in ``sent-dot``: SMTP's one window (RFC 1047);
- no part of a mail is ever seen, and what crashes leave behind goes in time.

Prints how many rounds ended in which state. Any fault: exit status 1, and the folder stays.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from quarantine.mails import ANNA, BERT, files, hold, mail, tagged
from smtp.scripted_hop import ScriptedHop

from milter.quarantine.item import Item
from milter.quarantine.store import Quarantine, Query, State
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import SmtpNextHop, Timeouts

_MAILBOXES = (ANNA, BERT, "carla@example.net")
_LONGEST = 0.2  # seconds until the kill: some ten mails
_SLOWEST = 0.006  # seconds that the next hop takes for an answer, and once more for the dot's


class Counting(ScriptedHop):
    """A next hop that writes down whose copy of which mail it has, before it says so."""

    def __init__(self, taken: int, seed: int) -> None:
        super().__init__()
        self._taken = taken
        self._rng = random.Random(seed)

    async def _answer(
        self, stage: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        await asyncio.sleep(self._rng.uniform(0, _SLOWEST))
        if stage == "dot":
            record = next(each for each in reversed(self.connections) if self.mails[-1] in each)
            recipient = bytes(record).rpartition(b"RCPT TO:<")[2].partition(b">")[0].decode()
            token = self.mails[-1].partition(b"Subject: ")[2].partition(b"\r\n")[0].decode()
            os.write(self._taken, f"{token} {recipient}\n".encode())
            await asyncio.sleep(self._rng.uniform(0, _SLOWEST))
        return await super()._answer(stage, reader, writer)


def next_hop(taken: Path, seed: int) -> tuple[int, int]:
    """Start one in a process of its own: its process id and port."""
    read, write = os.pipe()

    async def serve() -> None:
        server = Counting(os.open(taken, os.O_APPEND | os.O_CREAT | os.O_WRONLY), seed)
        await server.start()
        os.write(write, f"{server.port}\n".encode())
        await asyncio.Event().wait()

    process = forked(lambda: asyncio.run(serve()))
    port = int(os.read(read, 100))
    os.close(read)
    os.close(write)
    return process, port


def forked(job: Callable[[], object]) -> int:
    """Do ``job`` in a child, which ends with it; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        job()
    finally:
        os._exit(1)


def session(port: int) -> SmtpNextHop:
    return SmtpNextHop(Endpoint("127.0.0.1", port), "filter.example", Timeouts())


class Worker:
    """Holds and releases until it is killed; says what it has done, as a filter does by its 250."""

    def __init__(self, folder: Path, port: int, said: Path, round_: int, seed: int) -> None:
        self._quarantine = Quarantine(folder)
        self._port = port
        self._path = said
        self._round = round_
        self._rng = random.Random(seed)

    async def run(self) -> None:
        way = session(self._port)
        said = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        for number in range(10_000):
            recipients = self._rng.sample(_MAILBOXES, self._rng.randint(1, 3))
            batch = hold(self._quarantine, *recipients, content=mail(f"{self._round}-{number}"))
            batch.commit()
            os.write(said, (" ".join(batch.ids) + "\n").encode())
            for item in batch.ids:
                if self._rng.random() < 0.7:
                    await self._quarantine.release(item, way, "worker")


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


class Rounds:
    """All rounds on one folder."""

    def __init__(self, place: Path, port: int, rng: random.Random) -> None:
        self._folder = place / "quarantine"
        self._said, self._taken = place / "said", place / "taken"
        self._port = port
        self._rng = rng
        self._known: set[str] = set()  # items of earlier rounds
        self._waiting: set[str] = set()  # files in tmp after earlier rounds
        self.ended: Counter[str] = Counter()
        self.faults: list[str] = []
        Quarantine(self._folder).prepare()

    def run(self, number: int) -> None:
        """One kill, and what it came to."""
        self._said.unlink(missing_ok=True)
        self._taken.write_bytes(b"")
        worker = Worker(self._folder, self._port, self._said, number, self._rng.randrange(1 << 30))
        child = forked(lambda: asyncio.run(worker.run()))
        while not self._said.exists():  # it has begun
            time.sleep(0.001)
        time.sleep(self._rng.uniform(0, _LONGEST))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        self._expect(os.WIFSIGNALED(status), f"round {number}: the worker failed by itself")
        time.sleep(3 * _SLOWEST)  # the next hop may still be at it
        self._judge(number)

    def _expect(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)

    def _items(self) -> dict[str, Item]:
        """The items of this round, as lists show them."""
        quarantine = Quarantine(self._folder)
        quarantine.reconcile()
        found = quarantine.find(Query(states=(), limit=sys.maxsize)).items
        return {item.id: item for item in found if item.id not in self._known}

    def _judge(self, number: int) -> None:
        items, copies = self._items(), self._copies()
        for said in (item for line in lines(self._said) for item in line.split()):
            self._expect(said in items, f"round {number}: {said} was held, and is lost")
        for item in items.values():
            self._look(number, item, copies[item.subject, item.recipient])
        self.ended[self._moment(items)] += 1
        asyncio.run(self._release(items))
        self._count(number, items)
        self._known |= items.keys()

    def _moment(self, items: dict[str, Item]) -> str:
        """What the killed process was at, as far as the disk tells."""
        waiting = {path.name for path in self._folder.glob("*/tmp/*")}
        new, self._waiting = waiting - self._waiting, waiting
        if new:
            return "killed while a mail came to be held"
        for state in (State.RELEASING, State.SENT_DOT):
            if state in {item.state for item in items.values()}:
                return f"killed with a record that ended in {state}"
        return "killed between two of these"

    def _copies(self) -> Counter[tuple[str, str]]:
        """How many copies the next hop has, by the mail's subject and recipient."""
        pairs = (line.split(" ") for line in lines(self._taken))
        return Counter((subject, recipient) for subject, recipient in pairs)

    def _look(self, number: int, item: Item, copies: int) -> None:
        """Held or delivered, never neither; both only in the window."""
        where = f"round {number}: {item.id}, {item.state}, {copies} copies"
        if item.open:
            content = Quarantine(self._folder).content(item.id)
            self._expect(content == tagged(mail(item.subject)), f"{where}: not as it came")
            self._expect(copies == 0 or item.state is State.SENT_DOT, f"{where}: both")
        else:
            self._expect(item.state is State.RELEASED and copies == 1, f"{where}: neither")

    async def _release(self, items: dict[str, Item]) -> None:
        way = session(self._port)
        for item in items.values():
            if item.open:
                await Quarantine(self._folder).release(item.id, way, "judge")
        await way.close()

    def _count(self, number: int, items: dict[str, Item]) -> None:
        """In the end each has arrived; twice only out of the window."""
        copies, after = self._copies(), self._items()
        self._expect(items.keys() == after.keys(), f"round {number}: another list")
        for item in items.values():
            count = copies[item.subject, item.recipient]
            window = item.state is State.SENT_DOT
            self.ended["delivered twice"] += count == 2
            where = f"round {number}: {item.id}, {item.state}, {count} copies in the end"
            self._expect(count == 1 or (count == 2 and window), where)
            self._expect(after[item.id].state is State.RELEASED, f"{where}, not released")

    def clean(self) -> None:
        """What the kills have left behind goes after 36 hours."""
        Quarantine(self._folder).expire(time.time() + 37 * 3600, 30)
        left = [name for name in files(self._folder) if "/held/" not in name]
        self._expect(not left, f"leftovers: {left[:5]}")
        self._expect(
            len(files(self._folder)) == len(self._known), "records of mails that nobody knows"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, print what came of them."""
    parser = argparse.ArgumentParser(description="Kills of a process that holds and releases.")
    parser.add_argument("--rounds", metavar="N", type=int, default=1000)
    parser.add_argument("--seed", metavar="N", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args(arguments)
    print(f"{options.rounds} rounds, --seed {options.seed}", flush=True)
    place = Path(tempfile.mkdtemp(prefix="coop-kills-"))
    server, port = next_hop(place / "taken", options.seed)
    try:
        rounds = Rounds(place, port, random.Random(options.seed))
        for number in range(options.rounds):
            rounds.run(number)
        rounds.clean()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
    for end, count in sorted(rounds.ended.items()):
        print(f"{count:6}  {end}")
    if rounds.faults:
        print("\n".join(rounds.faults[:50]), f"\n{len(rounds.faults)} faults; see {place}")
        return 1
    print("no fault")
    shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())

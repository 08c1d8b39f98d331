"""Kills a process between the system calls of a hold, a release and a deletion.

    PYTHONPATH=tests python tests/quarantine/killed_steps.py FOLDER [EVERY]

For each job: the process stops before every system call, and where the files have changed since the
last one, what is on the disk must make sense. Before every such call (or every ``EVERY``-th of
them) one process is killed, and another brings the job to its end. Prints, as JSON, how many calls
each job has, how many states, how many kills, in how many of them the mail was delivered twice, and
every fault. A process of its own, for it forks: it must not have threads.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.steps import kill, walk
from learning.killed_writer import state
from quarantine.mails import ANNA, BERT, files, held, hold, mail, tagged

from milter import maildir
from milter.errors import NotHeld
from milter.maildir import MaildirNextHop
from milter.quarantine import names, record
from milter.quarantine.store import Quarantine, Query, State

CONTENT = tagged(mail())


class Trial:
    """One job, tried in copies of one prepared folder: ``quarantine`` and ``inbox`` in it."""

    def __init__(self, folder: Path) -> None:
        self.prepared = folder / type(self).__name__.lower() / "prepared"
        self.place = self.prepared.with_name("place")
        Quarantine(self.prepared / "quarantine").prepare()
        maildir.prepare(self.prepared / "inbox")
        self.item = self.prepare(Quarantine(self.prepared / "quarantine"))
        self.faults: list[str] = []
        self.twice = 0

    def prepare(self, quarantine: Quarantine) -> str:
        """What is there before the job; the id of a held mail, if any."""
        item = held(quarantine)
        quarantine.find(Query())  # makes the index
        return item

    def job(self) -> None:
        """What is killed."""
        raise NotImplementedError

    def look(self, when: str) -> None:
        """What must hold at any moment, by the files alone."""
        raise NotImplementedError

    def finish(self, when: str) -> None:
        """What another process does, and what must hold then."""
        raise NotImplementedError

    @property
    def quarantine(self) -> Quarantine:
        return Quarantine(self.place / "quarantine")

    @property
    def delivered(self) -> int:
        """How many copies have arrived."""
        return len(list((self.place / "inbox" / "new").iterdir()))

    def record(self) -> record.Record:
        found = record.read(names.record_path(self.place / "quarantine" / ANNA, self.item))
        assert found
        return found

    def release(self) -> None:
        asyncio.run(self.quarantine.release(self.item, MaildirNextHop(self.place / "inbox"), "x"))

    def expect(self, holds: bool, when: str, what: str) -> None:
        if not holds:
            self.faults.append(f"{when}: {what}")

    def anew(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self.prepared, self.place)

    def walk(self) -> tuple[int, list[int]]:
        """Look before every call; how many there are, and before which something had changed."""
        self.anew()
        return walk(lambda: _alone(self.job), lambda: state(self.place), self.look)

    def run(self, every: int) -> dict[str, object]:
        """Walk, then kill; what came of it."""
        calls, changes = self.walk()
        killed = [self.kill(at) for at in changes[::every]]
        counts = {"calls": calls, "states": len(changes), "killed": len(killed)}
        return counts | {"twice": self.twice, "faults": self.faults}

    def kill(self, at: int) -> None:
        """Kill the process before its call number ``at``; then look, and let another finish."""
        self.anew()
        when = kill(lambda: _alone(self.job), at)
        self.look(when)
        self.finish(when)


def _alone(job: Callable[[], object]) -> None:
    """Do ``job`` without threads: only the process's first one stops before its calls."""

    async def here(do: Callable[..., Any], *arguments: Any) -> Any:
        return do(*arguments)

    # In one thread, so that system calls come in one order.
    asyncio.to_thread = here  # type: ignore[assignment]
    job()


class Hold(Trial):
    """A mail comes to be held for two."""

    def prepare(self, quarantine: Quarantine) -> str:
        quarantine.find(Query())
        return ""

    def job(self) -> None:
        hold(self.quarantine, ANNA, BERT).commit()

    def look(self, when: str) -> None:
        """What is in its place is whole, and its facts are there."""
        for path in (self.place / "quarantine").glob("*/new/*"):
            self.expect(path.read_bytes() == CONTENT, when, "a part of a mail")
            told = record.read(names.record_path(path.parent.parent, names.item_of(path.name)))
            self.expect(told is not None, when, "a mail without facts")

    def finish(self, when: str) -> None:
        """Nobody was told that we have it: it is sent again, and what is left goes in time."""
        quarantine = self.quarantine
        quarantine.reconcile()
        before = quarantine.find(Query()).items
        self.expect(len(before) <= 2, when, "too many")
        batch = hold(quarantine, ANNA, BERT)
        batch.commit()
        shown = {item.id for item in quarantine.find(Query()).items}
        self.expect(shown == {*batch.ids, *(item.id for item in before)}, when, "the list is wrong")
        quarantine.expire(time.time() + 37 * 3600, 30)
        left = files(self.place / "quarantine")
        self.expect(len(left) == 2 * len(shown), when, f"leftovers: {left}")


class Release(Trial):
    """A held mail is released."""

    def job(self) -> None:
        self.release()

    def look(self, when: str) -> None:
        """Held or delivered, never neither; both only in the window."""
        told = self.record()
        there = told.mail() is not None
        is_open = there and told.state(there) in (State.HELD, State.RELEASING, State.SENT_DOT)
        self.expect(is_open or self.delivered == 1, when, "neither held nor delivered")
        window = told.last.state is State.SENT_DOT
        self.expect(not (is_open and self.delivered) or window, when, "held and delivered")

    def finish(self, when: str) -> None:
        """Released again, it arrives; twice only if it was killed in the window."""
        self.quarantine.reconcile()
        window = self.record().last.state is State.SENT_DOT
        for item in self.quarantine.find(Query()).items:
            self.expect(self.quarantine.content(item.id) == CONTENT, when, "changed")
            self.release()
        copies = self.delivered
        self.twice += copies == 2
        self.expect(copies == 1 or (copies == 2 and window), when, f"{copies} copies")
        self.expect(self.record().last.state is State.RELEASED, when, "not released")
        self.expect(not self.quarantine.find(Query()).items, when, "still listed")
        left = files(self.place / "quarantine")
        self.expect(len(left) == 1, when, f"leftovers: {left}")


class Delete(Trial):
    """A held mail is deleted."""

    def job(self) -> None:
        self.quarantine.delete(self.item, "x")

    def look(self, when: str) -> None:
        """Never gone without a word."""
        told = self.record()
        self.expect(told.state(told.mail() is not None) is not State.GONE, when, "gone")

    def finish(self, when: str) -> None:
        self.quarantine.reconcile()
        for item in self.quarantine.find(Query()).items:
            self.quarantine.delete(item.id, "x")
        try:
            self.quarantine.delete(self.item, "x")
        except NotHeld:
            left = files(self.place / "quarantine")
            self.expect(len(left) == 1, when, f"leftovers: {left}")
        else:
            self.faults.append(f"{when}: deleted twice")


def main(folder: Path, every: int) -> None:
    print(json.dumps({kind.__name__: kind(folder).run(every) for kind in (Hold, Release, Delete)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)

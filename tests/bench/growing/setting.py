"""What curves are measured with: folders, sizes, and commands that are watched."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.throughput.measure import MB, pss, tree
from bench.throughput.messages import Writer
from bench.throughput.peers import Place

ROOT = Path(__file__).resolve().parents[3]
_LEAST = 300


@dataclass(frozen=True)
class Bench:
    """``mails``: of the largest corpus, feedback and quarantine."""

    place: Place
    writer: Writer
    quick: bool
    mails: int

    def folder(self) -> Path:
        """A new, empty one."""
        return Path(tempfile.mkdtemp(dir=self.place.folder))

    def steps(self, *sizes: int) -> Sequence[int]:
        """With ``--quick`` three of them: to see that it runs."""
        return sizes[: len(sizes) // 2 + 1][-3:] if self.quick else sizes

    def powers(self) -> Sequence[int]:
        """Numbers of mails up to the largest, two for each power of ten; fewer are no corpus."""
        largest = 1000 if self.quick else self.mails
        sizes = [round(largest / 10 ** (back / 2)) for back in range(2 if self.quick else 5)]
        return [size for size in reversed(sizes) if size >= _LEAST]


@dataclass(frozen=True)
class Spent:
    """What a command took: ``seconds`` of processor time; the most memory in MB.

    ``own`` is what cannot be given back; the rest of ``memory`` are pages of files, those that
    are put aside among them, which the kernel takes away when somebody needs the room.
    """

    seconds: float
    memory: float
    own: float


def watched(command: Sequence[str]) -> Spent:
    """Run ``command``, looking at its memory ten times a second.

    Status 3 is the gate's refusal: all work was done before it.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, text=True, cwd=ROOT)
        before, memory, own = os.times(), 0.0, 0.0
        while process.poll() is None:
            memory, own = max(memory, pss([process.pid])), max(own, anonymous([process.pid]))
            time.sleep(0.1)
        after = os.times()
        said.seek(0)
        assert process.returncode in (0, 3), said.read()[-500:]
    spent = after.children_user + after.children_system
    return Spent(spent - before.children_user - before.children_system, memory, own)


def anonymous(roots: Collection[int]) -> float:
    """MB of these processes and all below them that lie in no file."""
    kilobytes = 0
    for process in tree(roots):
        with suppress(OSError):  # it has ended meanwhile
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line[:9] == "Pss_Anon:")
    return kilobytes * 1024 / MB

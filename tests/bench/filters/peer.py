"""What every filter in the comparison is: it learns from files, and judges files one at a time.

All of them get the same files, octet for octet, and give one number a mail: the higher, the more
it is a fake-cooperation pitch. Only the order of the numbers counts, so each filter may give what
it has, a probability or log-odds.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[3]

# One core for each judge, and Python modules from this tree. Linear algebra in several threads
# would compare cores, not filters.
ENVIRONMENT = os.environ | {
    "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}


class FilterError(Exception):
    """A filter does not do its work; the text says what it had to say."""


@dataclass(frozen=True)
class Mail:
    """A mail in a file. ``group``: its theme in the corpus, or its set of measuring mail."""

    path: Path
    label: str
    language: str
    group: str

    @property
    def fake(self) -> bool:
        """The one question that is put to all filters."""
        return self.label == "fake"


class Judge(Protocol):
    """A trained filter that runs. ``processes``: those whose memory judging takes."""

    @property
    def processes(self) -> Sequence[int]: ...

    def score(self, path: Path) -> float: ...


class Filter(Protocol):
    """A filter that can be trained anew in any folder, and judge by what lies there."""

    name: str
    counted: str  # what the time of a mail and the memory are of, for the notes

    def missing(self) -> str:
        """What to install, or nothing if all is there."""
        ...

    def version(self) -> str: ...

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        """Learn from scratch; ``folder`` is new and empty."""
        ...

    def judge(self, folder: Path) -> AbstractContextManager[Judge]: ...


class LineJudge:
    """A process that reads the path of a mail and answers with a line that ends in its score."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self.processes = (process.pid,)

    def score(self, path: Path) -> float:
        """Hand over a path, wait for the number."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(f"{path}\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline().split()[-1])
        except (OSError, IndexError, ValueError) as error:
            raise FilterError(f"no score: {last_line(self._log)}") from error


@contextmanager
def line_judge(command: Sequence[str | Path], folder: Path) -> Iterator[LineJudge]:
    """Run ``command`` as a judge until the block ends; it ends by the end of its input."""
    log = folder / "judge.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=ENVIRONMENT,
        )
    try:
        yield LineJudge(process, log)
    finally:
        process.kill()
        process.communicate()


def run(command: Sequence[str | Path], text: str = "") -> str:
    """Run ``command`` with ``text`` for its input; what it writes."""
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing said").splitlines()[-1]
        raise FilterError(f"{Path(command[0]).name}: status {done.returncode}, {said}")
    return done.stdout


def number_in(text: str) -> str:
    """The first thing that looks like a version."""
    found = re.search(r"\d+(?:\.\d+)+", text)
    return found[0] if found else ""


def last_line(log: Path) -> str:
    """The last that a log has to say."""
    return (log.read_text(errors="replace").strip() or "nothing said").splitlines()[-1]


def answer(score: Callable[[bytes], float]) -> None:
    """The other end of ``LineJudge``, for filters in Python."""
    for line in sys.stdin:
        print(score(Path(line.rstrip("\n")).read_bytes()), flush=True)

"""From octets to a verdict, with no SMTP: processor time a mail."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.throughput.bayes import Bogofilter
from bench.throughput.figures import Sample
from bench.throughput.measure import Meter
from bench.throughput.peers import HERE, OURS, Place, python_of_peers, read_json
from bench.throughput.setting import Setting

SECTION = "verdict"


@dataclass(frozen=True)
class Reader:
    """``cost``: microseconds a mail, of so many mails."""

    name: str
    cost: Callable[[Place, int], float]
    packages: Callable[[], str] | None = None

    def missing(self) -> str:
        return self.packages() if self.packages else ""


def measure(setting: Setting) -> Iterator[Sample]:
    """All in turns."""
    mails = 100 if setting.quick else 1000
    for reader in setting.rounds(SECTION, setting.chosen(SECTION, _READERS)):
        with Meter([]) as meter:
            cost = reader.cost(setting.place, mails)
        yield Sample("verdict", reader.name, cost, meter.foreign)


def _script(what: str, python: Callable[[Path], Path]) -> Callable[[Place, int], float]:
    def cost(place: Place, mails: int) -> float:
        command: list[str | Path] = [
            python(place.kept),
            HERE / "verdicts.py",
            what,
            place.mails.folder,
        ]
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return read_json([*command, "--mails", str(mails)], os.environ | one)["us"]

    return cost


def _ours(kept: Path) -> Path:
    return Path(sys.executable)


def _checked(place: Place, mails: int) -> float:
    """``coop-verdict check --json``: what each mail more costs it."""
    command = [sys.executable, "-m", "milter", "check", "--json"]
    return _each_further(lambda paths: _spent(command + paths), place, mails)


def _bulk(place: Place, mails: int) -> float:
    """bogofilter -b: what each mail more costs it."""
    command = [*Bogofilter().command(place), "-b", "-T"]
    return _each_further(lambda paths: _spent(command, "\n".join(paths) + "\n"), place, mails)


def _each_further(spent: Callable[[list[str]], float], place: Place, mails: int) -> float:
    """Microseconds: the difference, so that starting and opening is not counted."""
    first = [str(path) for path in sorted(place.mails.other.iterdir())]
    test = [str(path) for path in sorted(place.mails.test.iterdir())[:mails]]
    return (spent(first + test) - spent(first)) / len(test) * 1e6


def _spent(command: list[str], text: str = "") -> float:
    """Processor seconds of one command; its status is its verdict."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, input=text.encode(), stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


_READERS = (
    Reader(OURS, _script("ours", _ours)),
    Reader("our check --json, from files", _checked),
    Reader("bogofilter -b, in bulk, from files", _bulk, Bogofilter().missing),
    Reader("Python's email parser alone", _script("email", _ours)),
    Reader("email, HashingVectorizer, linear model", _script("scikit-learn", python_of_peers)),
)

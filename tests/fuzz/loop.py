"""The fuzz loop: atheris (libFuzzer) for so many seconds, each new finding kept once.

libFuzzer stops at the first finding. Here a finding is written down and the search goes on; what
breaks at the same place as a known finding is not written again. A finding counts only where it is
one in a fresh interpreter too: instrumented code is several times slower, and the CPU bound is for
plain code.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path.insert(1, str(HERE.parents[1]))  # where milter is, which need not be installed here
# The checks are instrumented, too: most of milter is regular expressions, inside which libFuzzer
# sees nothing, and the checks do the same by plain loops and branches.
with atheris.instrument_imports(include=["milter", "fuzz"]):
    from fuzz import checks

Mutator = Callable[[random.Random, bytes], bytes]


class Loop:
    """One run of one target."""

    def __init__(self, target: str, seconds: int) -> None:
        self._target = target
        self._start = time.monotonic()
        self._seconds = seconds
        self._findings = HERE / "findings" / target
        self._known: set[str] = set()
        self._alarms: dict[str, int] = {}  # in instrumented code only, and how often
        self.tried = 0
        self.new: list[str] = []
        for path in sorted((HERE / "seeds" / target).iterdir()):
            self._remember(path)
        for path in sorted(self._findings.glob("*")):
            self._remember(path)

    def _remember(self, path: Path) -> None:
        fault = checks.fault(self._target, checks.load(path))
        plain = self._plain_fault(path) if fault else ""
        if plain:
            print(f"known: {path.name}: {plain}")
            self._known |= {fault, plain}

    def _plain_fault(self, path: Path) -> str:
        """The same input in an interpreter without atheris."""
        run = subprocess.run(
            [sys.executable, "-m", "fuzz.checks", self._target, str(path)],
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
        return run.stdout.strip() or run.stderr.strip()

    def one(self, octets: bytes) -> None:
        """Try one input; what libFuzzer calls."""
        if time.monotonic() - self._start > self._seconds:
            self._end()
        self.tried += 1
        fault = checks.fault(self._target, octets)
        if not fault or fault in self._known or self._alarms.get(fault, 0) > 20:
            return
        with tempfile.NamedTemporaryFile() as file:
            path = Path(file.name)
            path.write_bytes(octets)
            plain = self._plain_fault(path)
        if not plain:
            self._alarms[fault] = self._alarms.get(fault, 0) + 1
            return
        if plain not in self._known:
            self._findings.mkdir(parents=True, exist_ok=True)
            name = f"new-{hashlib.sha256(octets).hexdigest()[:8]}"
            (self._findings / name).write_bytes(octets)
            self.new.append(f"{name}: {plain}")
            print(f"FOUND {self.new[-1]}", flush=True)
        self._known |= {fault, plain}

    def _end(self) -> None:
        """Say what was done, and leave: libFuzzer ends the process without coming back here."""
        print(f"{self._target}: {self.tried} inputs in {self._seconds} s, {len(self.new)} findings")
        for line in [*self.new, *(f"alarm, {n} times: {f}" for f, n in self._alarms.items())]:
            print(f"  {line}")
        sys.stdout.flush()
        os._exit(1 if self.new else 0)


def run(target: str, words: Sequence[bytes], mutate: Mutator, max_len: int) -> None:
    """The command: ``[--seconds 600] [--keep CORPUS]``, exit status 1 where something was found.

    ``words`` is libFuzzer's dictionary; ``mutate`` makes one input into another by the target's
    own grammar, which happens in half of all cases.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--keep", type=Path, help="folder for the corpus; a temporary one else")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-"))
    corpus = options.keep or work / "corpus"
    corpus.mkdir(exist_ok=True, parents=True)
    dictionary = work / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words), encoding="ascii")
    loop = Loop(target, options.seconds)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={options.seconds + 60}",
            f"-max_len={max_len}",
            f"-dict={dictionary}",
            f"-artifact_prefix={work}/",
            "-timeout=60",
            "-rss_limit_mb=3000",
            "-verbosity=1",
            str(corpus),
            str(HERE / "seeds" / target),
        ],
        loop.one,
        custom_mutator=_mutator(mutate),
    )
    atheris.Fuzz()


def _mutator(mutate: Mutator) -> Callable[[bytes, int, int], bytes]:
    def mutated(octets: bytes, max_size: int, seed: int) -> bytes:
        dice = random.Random(seed)
        if dice.random() < 0.5:
            return atheris.Mutate(octets, max_size)
        return mutate(dice, octets)[:max_size]

    return mutated


def _escaped(word: bytes) -> str:
    """A word in the form of libFuzzer's dictionary files."""
    return "".join(f"\\x{octet:02x}" for octet in word)


def inserted(dice: random.Random, octets: bytes, pieces: Sequence[bytes]) -> bytes:
    """``octets`` with a few of ``pieces`` and random octets, put in or instead of others."""
    for _ in range(dice.choice([1, 1, 2, 4, 8])):
        at = dice.randint(0, len(octets))
        if dice.random() < 0.4:  # at a line's start
            at = octets.rfind(b"\n", 0, at) + 1
        piece = dice.choice(pieces) if dice.random() < 0.9 else dice.randbytes(dice.randint(1, 4))
        gone = dice.choice([0, 0, 1, len(piece), dice.randint(0, 40)])
        octets = octets[:at] + piece + octets[at + gone :]
    return octets


def repeated(dice: random.Random, octets: bytes, most: int) -> bytes:
    """``octets`` with a short piece repeated up to ``most`` octets: what is quadratic shows."""
    at = dice.randint(0, len(octets))
    piece = octets[at : at + dice.choice([1, 1, 2, 2, 3, 4, 8, 30])] or b" "
    times = min(dice.choice([2, 10, 100, 1000, 10000, 100000]), most // len(piece) + 1)
    return (octets[:at] + piece * times + octets[at:])[:most]

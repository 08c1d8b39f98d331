"""Kills a writer of bundles between its system calls, and looks what the filter finds then.

    PYTHONPATH=tests python tests/learning/killed_writer.py FOLDER [EVERY]

For each job: the writer stops before every system call, and where its folder has changed since the
last one, the filter's own opening must find a whole model. Before every such call (or every
``EVERY``-th of them) one writer is killed with SIGKILL, and another one must bring the job to its
end. Prints how many calls each job has, before which one was killed, and every fault, as JSON. A
process of its own, for it forks: it must not have threads.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from harness.steps import kill, walk
from learning.small import SETTINGS, examples, fitted

from milter.errors import CoopError
from milter.spam.proof import open_proved_models
from training.history import current, predecessor
from training.publish import publish, rollback, write_bundle

Job = Callable[[Path], object]


def write(models: Path, temperature: float) -> str:
    return write_bundle(models, fitted(temperature), examples(), SETTINGS).name


def prepare(models: Path, *temperatures: float) -> list[str]:
    """Publish some bundles, one after the other; their versions."""
    versions = []
    for temperature in temperatures:
        versions.append(write(models, temperature))
        publish(models, versions[-1])
    return versions


def first(models: Path) -> Job:
    """Nothing is there yet."""
    models.mkdir()
    return lambda models: publish(models, write(models, 1.0))


def next_one(models: Path) -> Job:
    """A new bundle is written and published, and an old one removed."""
    prepare(models, 1.0, 1.1, 1.2)
    return lambda models: publish(models, write(models, 2.0), keep=1)


def again(models: Path) -> Job:
    """The current bundle is written once more, with another manifest."""
    (one,) = prepare(models, 1.0)
    (models / one / "manifest.json").write_text("{}")
    return lambda models: write(models, 1.0)


def repaired(models: Path) -> Job:
    """A damaged bundle, not the current one, is written anew and published."""
    one, two = prepare(models, 1.1, 1.0)
    (models / one / "weights.npz").write_bytes(b"damaged")
    assert current(models) == two
    return lambda models: publish(models, write(models, 1.1))


def back(models: Path) -> Job:
    """Back to the one before; once, however often it is tried."""
    one, two = prepare(models, 1.0, 1.1)
    return lambda models: rollback(models) if current(models) == two else one


JOBS = (first, next_one, again, repaired, back)


def state(models: Path) -> tuple[object, ...]:
    """Which files there are, and which octets as far as can be told without reading them."""
    found = []
    for folder, _, files in os.walk(models):
        for name in ["", *files]:
            facts = (Path(folder) / name).stat()
            size = facts.st_size if name else 0
            found.append((folder, name, facts.st_ino, size, facts.st_mtime_ns, facts.st_mode))
    return tuple(sorted(found))


def opened(models: Path) -> str:
    """The version that the filter finds; empty where none was ever published."""
    return open_proved_models(models).version if current(models) else ""


class Trial:
    """One job, tried in copies of one prepared folder."""

    def __init__(self, folder: Path, setting: Callable[[Path], Job]) -> None:
        self.prepared = folder / setting.__name__ / "prepared"
        self.prepared.parent.mkdir(parents=True)
        self.job = setting(self.prepared)
        self.models = self.prepared.with_name("models")
        self.anew()
        self.before = opened(self.models)
        self.job(self.models)
        self.after, self.before_that = opened(self.models), predecessor(self.models)
        self.names = self.visible()
        self.faults: list[str] = []

    def anew(self) -> None:
        shutil.rmtree(self.models, ignore_errors=True)
        shutil.copytree(self.prepared, self.models)

    def visible(self) -> list[str]:
        """Every file there is, but for the lock's own."""
        files = (path.relative_to(self.models) for path in self.models.rglob("*"))
        return sorted(str(path) for path in files if path.name != ".lock")

    def look(self, when: str) -> None:
        """The filter must find a whole model now: the one before or the one after."""
        try:
            if (found := opened(self.models)) not in (self.before, self.after):
                self.faults.append(f"{when}: the model is {found!r}")
        except CoopError as error:
            self.faults.append(f"{when}: {error}")

    def walk(self) -> tuple[int, list[int]]:
        """Look before every call; how many there are, and before which the folder had changed."""
        self.anew()
        return walk(lambda: self.job(self.models), lambda: state(self.models), self.look)

    def kill(self, at: int) -> None:
        """Kill the writer before its call number ``at``; then look, and let another one finish."""
        self.anew()
        when = kill(lambda: self.job(self.models), at)
        self.look(when)
        self.job(self.models)
        end = (opened(self.models), predecessor(self.models), self.visible())
        if end != (self.after, self.before_that, self.names):
            self.faults.append(f"{when}, and tried again: {end}")


def main(folder: Path, every: int) -> None:
    told = {}
    for setting in JOBS:
        trial = Trial(folder, setting)
        calls, changes = trial.walk()
        killed = changes[::every]
        for at in killed:
            trial.kill(at)
        told[setting.__name__] = {
            "calls": calls,
            "states": len(changes),
            "killed": len(killed),
            "faults": trial.faults,
        }
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)

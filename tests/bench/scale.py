"""What a retrain of a site with thousands of corrections takes.

    python tests/bench/scale.py [--mails 5000] [--jobs -1] [--corpus DIR]

Fills a feedback folder with mails of fifty owners, made of sentences of the corpus, half of them
filed as fake; each comes from a domain of its own. One ``coop-train retrain`` beside the corpus, as
a process of its own: its time, and the highest memory of it and its workers together (PSS, sampled
five times a second). A refusal by the gate is no fault: all the work is done by then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.attacks import prepare
from bench.material import CORPUS
from bench.varied import Varied
from harness.feedback import put

from training.fit import FitSettings

_OWNERS = 50
_BEGIN = 1.79e9


def fill(folder: Path, varied: dict[str, Varied], number: int) -> None:
    """So many mails, labels and owners in turns."""
    for i in range(number):
        label = ("fake", "none")[i % 2]
        (mail,) = varied[label].mails(1)
        put(folder / f"owner{i % _OWNERS}" / label / f"{i}.eml", mail, _BEGIN + 60 * i)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time and memory of a large retrain.")
    parser.add_argument("--mails", metavar="N", type=int, default=5000)
    parser.add_argument("--jobs", metavar="N", type=int, default=-1)
    parser.add_argument("--corpus", metavar="DIR", type=Path, default=CORPUS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coop-scale-") as place:
        setting = prepare(Path(place), options.corpus, FitSettings(), options.jobs)
        labels = ("fake", "none")
        varied = {label: Varied(setting.examples, 11, label) for label in labels}
        fill(Path(place) / "feedback", varied, options.mails)
        return _retrain(Path(place), options.corpus, options.jobs)


def _retrain(place: Path, corpus: Path, jobs: int) -> int:
    command = [sys.executable, "-m", "training", "retrain", "--feedback", str(place / "feedback")]
    command += ["--models", str(place / "models"), "--corpus", str(corpus), "--jobs", str(jobs)]
    begin = time.monotonic()
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        highest = 0
        while process.poll() is None:
            highest = max(highest, _pss(process.pid))
            time.sleep(0.2)
    print(f"{time.monotonic() - begin:.0f} s, {highest / 1024:.0f} MB")
    return 0 if process.returncode in (0, 3) else 1


def _pss(root: int) -> int:
    """Kilobytes of a process and of all below it, shared pages counted once."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found, ahead = 0, {root}
    while ahead:
        found += sum(map(_own_pss, ahead))
        ahead = {child for child, parent in parents.items() if parent in ahead}
    return found


def _own_pss(process: int) -> int:
    try:
        text = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main())

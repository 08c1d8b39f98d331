"""This filter and every other that is installed, on the same mail in the same run.

    make bench [BENCH="--reps 5 --only REGEX --json FILE --quick"]
    python tests/bench/throughput/compare.py ...

Prints a table and draws build/bench/throughput.svg. ``--only`` is held against "SECTION: FILTER";
the sections are postfix, core, verdict, large and workers. It only measures: no figure makes it
fail. Needs Debian's postfix, and root; what else is missing is named and left out.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script

from bench.throughput import core, large, path, reading, workers
from bench.throughput.figures import Sample
from bench.throughput.messages import prepare
from bench.throughput.peers import Place
from bench.throughput.plot import plot
from bench.throughput.setting import Setting
from bench.throughput.table import table

KEPT = Path(__file__).resolve().parents[3] / "build" / "bench"
_SECTIONS = (path, core, reading, large, workers)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, draw."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started on the way out
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
        Path(folder).chmod(0o755)  # peers run as users of their own
        place = Place(Path(folder), KEPT, prepare(KEPT))
        seconds = options.seconds or (1 if options.quick else 5)
        repetitions = options.reps or (1 if options.quick else 5)
        setting = Setting(place, repetitions, seconds, re.compile(options.only), options.quick)
        samples = _measured(setting, options.json)
    print(table(samples))
    if samples:
        plot(samples, options.plot)
        print(f"\nas a picture: {options.plot}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Throughput beside other filters; see README.md.")
    parser.add_argument("--reps", metavar="N", type=int, help="turns (5; 1 with --quick)")
    parser.add_argument("--seconds", metavar="S", type=float, help="of a run (5; 1 with --quick)")
    parser.add_argument("--only", metavar="REGEX", default="", help='of "SECTION: FILTER"')
    parser.add_argument("--json", metavar="FILE", type=Path, help="write each measurement")
    parser.add_argument("--plot", metavar="FILE", type=Path, default=KEPT / "throughput.svg")
    parser.add_argument("--quick", action="store_true", help="to see that it runs; no figures")
    return parser


def _measured(setting: Setting, file: Path | None) -> list[Sample]:
    """All samples, written to ``file`` as far as they go after each section."""
    samples: list[Sample] = []
    for section in _SECTIONS:
        samples += section.measure(setting)
        if file:
            file.write_text(json.dumps([asdict(sample) for sample in samples], indent=1))
    return samples


if __name__ == "__main__":
    sys.exit(main())

"""What a model of 2^BITS features costs a process of its own, as JSON.

    python scaled.py BITS MODELS MAILS [--mails N]

``octets``: MB of its file; ``own``: MB of memory that the process has, without files; ``opening``
in ms, ``us`` a verdict, both processor time. MAILS is as for ``throughput/verdicts.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.growing.setting import anonymous
from bench.throughput.verdicts import microseconds, ours, read

from milter.spam import features


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a model of some size.")
    parser.add_argument("bits", type=int)
    parser.add_argument("models", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mails", type=int, default=1000)
    options = parser.parse_args()
    features.BITS, features.WORDS = options.bits, 1 << options.bits
    features.SIZE = features.WORDS + features.SENDERS
    start = time.process_time()
    judge = ours(options.models)
    opening = time.process_time() - start
    microseconds(judge, read(options.folder / "fake") + read(options.folder / "other"))
    us = microseconds(judge, read(options.folder / "test")[: options.mails])
    (weights,) = options.models.glob("*/weights.npz")
    found = {"octets": weights.stat().st_size / 1e6, "own": anonymous([os.getpid()])}
    print(json.dumps({**found, "opening": opening * 1000, "us": us}))


if __name__ == "__main__":
    main()

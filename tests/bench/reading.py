"""What it costs to open a mail on the review page, and how many marks find their place.

    python tests/bench/reading.py [MODELS] [--every 10]

Reads mails of the corpus and the mails built to hurt (1 MB each). It only measures.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mail.killers import KILLERS

from milter.review.marks import Reading, marked
from milter.spam.bundle import Bundle, open_models

ROOT = Path(__file__).resolve().parents[2]


def timed(content: bytes, model: Bundle) -> tuple[float, Reading]:
    """Milliseconds, and what was read."""
    start = time.perf_counter()
    reading = marked(content, model)
    return (time.perf_counter() - start) * 1000, reading


def corpus(model: Bundle, every: int) -> None:
    """Time of usual mails, and the share of asks and offers with a mark of their own."""
    took, told, own, unplaced = [], 0, 0, 0
    for path in sorted((ROOT / "training" / "corpus").rglob("*.eml"))[::every]:
        milliseconds, reading = timed(path.read_bytes().replace(b"\n", b"\r\n"), model)
        took.append(milliseconds)
        shown = {(one.kind, one.title) for one in (*reading.subject, *reading.body)}
        told += len(reading.judgement.asks) + len(reading.judgement.offers)
        own += sum(kind in ("ask", "offer") for kind, _ in shown)
        unplaced += len(reading.unplaced)
    print(f"{len(took)} mails: median {statistics.median(took):.1f} ms, longest {max(took):.0f} ms")
    print(f"{told} asks and offers: {own} have a mark of their own, {unplaced} no place at all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="?", type=Path, default=ROOT / "models")
    parser.add_argument("--every", type=int, default=10)
    options = parser.parse_args()
    model = open_models(options.models)
    corpus(model, options.every)
    worst = sorted((timed(KILLERS[name](1_000_000), model)[0], name) for name in KILLERS)[-5:]
    for milliseconds, name in reversed(worst):
        print(f"{milliseconds:8.0f} ms  {name}, 1 MB")


if __name__ == "__main__":
    main()

"""How cost grows: with mails, their parts and recipients, senders, the model, corpus and feedback.

    python tests/bench/growth.py [--quick] [--only REGEX] [--mails 30000] [--page F] [--json F]

Draws build/bench/growth.html, and prints the power of each curve's upper half: 1 is linear, and
what is above is named. ``--mails`` is the largest corpus, feedback and quarantine, up to 10^6;
README.md here says what that takes. It only measures. The curves are in ``growing/``.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.growing.files import index, known, quarantine
from bench.growing.filtering import attachment, parts, recipients, senders, text
from bench.growing.learning import corpus, feedback
from bench.growing.models import model
from bench.growing.setting import ROOT, Bench
from bench.throughput.curves import Curve, page, summary
from bench.throughput.messages import CORPUS, Mails, Writer, prepare, read_paragraphs
from bench.throughput.peers import Place

KEPT = ROOT / "build" / "bench"

CURVES: dict[str, Callable[[Bench], Iterator[Curve]]] = {
    "text": text,
    "attachment": attachment,
    "parts": parts,
    "recipients": recipients,
    "senders": senders,
    "index": index,
    "known": known,
    "quarantine": quarantine,
    "model": model,
    "corpus": corpus,
    "feedback": feedback,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, draw, print."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started on the way out
    KEPT.mkdir(parents=True, exist_ok=True)
    curves: list[Curve] = []
    with tempfile.TemporaryDirectory(prefix="coop-growth-") as folder:
        mails: Mails = prepare(KEPT)
        place = Place(Path(folder), KEPT, mails)
        bench = Bench(place, Writer(read_paragraphs(CORPUS), 7), options.quick, options.mails)
        for name, measure in CURVES.items():
            if re.search(options.only, name):
                print(f"{name} ...", file=sys.stderr)
                curves += measure(bench)
    print(summary(curves))
    if options.json:
        options.json.write_text(json.dumps([asdict(curve) for curve in curves], indent=1))
    note = "Upper half of each curve, fitted on logarithms; dashed: the power that is allowed."
    page(curves, options.page, note)
    print(f"\nas a page: {options.page}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How cost grows; see README.md here.")
    parser.add_argument("--only", metavar="REGEX", default="", help=f"of {', '.join(CURVES)}")
    parser.add_argument("--mails", type=int, default=30_000, help="of the largest corpus")
    parser.add_argument("--page", metavar="FILE", type=Path, default=KEPT / "growth.html")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write each point")
    parser.add_argument("--quick", action="store_true", help="to see that it runs; no figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())

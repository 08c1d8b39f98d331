"""Where the microseconds of one mail go: a profile of the running filter by the steps of its route.

    python tests/bench/throughput/route.py [--seconds 20] [--senders 20] [--raw FILE]

py-spy looks 500 times a second at what the filter does while mail goes through it; a sample counts
for the innermost step that it stands in. Processor time a mail is measured apart, undisturbed by
that. ``--raw`` keeps the stacks, for flamegraph.pl or speedscope. Needs root, and postfix for
smtp-sink. On a busy machine what wakes others (writing to the sender) seems to take longer.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script

from bench.throughput.measure import Meter
from bench.throughput.messages import prepare
from bench.throughput.peers import Ours, Place, Running, python_of_peers
from bench.throughput.pinned import SENDERS, pinned
from bench.throughput.senders import Senders
from bench.throughput.setting import Setting

KEPT = Path(__file__).resolve().parents[3] / "build" / "bench"
_RATE = 500  # samples a second
_WARM = 600  # mails before: the words of later ones are known then

#: The steps in the order of the route, and how the frames begin that stand for each: a function and
#: its file, or a file alone. The first one that fits counts.
STEPS: Mapping[str, tuple[str, ...]] = {
    "connection: accepted, set up, ended": (
        "_SelectorTransport.__init__",
        "_SelectorSocketTransport.__init__",
        "BaseSelectorEventLoop._accept_connection",
        "_SelectorSocketTransport._call_connection_lost",
        "Server._session (milter/server.py)",
        "Server._ended (milter/server.py)",
        "Connection.connection_made (milter/smtp/connection.py)",
    ),
    "reading: MIME, charsets, text": ("(milter/mail/text.py)", "(milter/mail/mime.py)"),
    "reading: HTML": ("(milter/mail/html.py)",),
    "tokens": ("(milter/spam/tokens.py)", "(milter/spam/fold.py)"),
    "asks, offers, signs": ("(milter/spam/terms.py)",),
    "features": ("(milter/spam/features.py)",),
    "score, verdict, clues": ("(milter/spam/verdict.py)",),
    "deadline of judging": ("(milter/spam/judge.py)",),
    "trust": ("(milter/trust/",),
    "policy": ("(milter/spam/policy.py)", "Pipeline._plan (milter/pipeline.py)"),
    "digests for the index": ("Index.digests (milter/seen.py)", "(milter/mail/identity.py)"),
    "line of the index": ("Index.record (milter/seen.py)",),
    "log line": ("record (milter/journal.py)", "(logging/"),
    "metrics": ("(milter/metrics/",),
    "header edited": ("Delivery._edited (milter/delivery.py)", "(milter/spam/action.py)"),
    "next hop": ("(milter/smtp/next_hop.py)", "(milter/smtp/idle.py)", "(milter/smtp/endpoint.py)"),
    "delivery": ("(milter/delivery.py)", "(milter/held.py)"),
    "sender: commands, content, replies": ("(milter/smtp/",),
    "the route itself": ("Pipeline.__call__ (milter/pipeline.py)",),
    "event loop": (),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, look, print."""
    options = _parser().parse_args(arguments)
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="coop-bench-") as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder), KEPT, prepare(KEPT))
        setting = Setting(place, 1, options.seconds, re.compile(""), quick=False)
        with pinned(setting, [Ours()]) as (all_running, _):
            (running,) = all_running.values()
            _senders(place, running, options, mails=_WARM).send()
            with Meter(running.processes) as meter:
                load = _senders(place, running, options, seconds=options.seconds / 2).send()
            stacks = _looked_at(place, running, options)
    if options.raw:
        options.raw.write_text(stacks)
    print(table(stacks.splitlines(), meter.cpu / load.mails * 1e6))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Where the time of one mail goes; see README.md.")
    parser.add_argument("--seconds", metavar="S", type=float, default=20, help="to look for (20)")
    parser.add_argument("--senders", metavar="N", type=int, default=20, help="at a time (20)")
    parser.add_argument("--raw", metavar="FILE", type=Path, help="keep the stacks")
    return parser


def _senders(
    place: Place, running: Running, options: argparse.Namespace, seconds: float = 0, mails: int = 0
) -> Senders:
    return Senders(
        running.port,
        [place.mails.test],
        count=options.senders,
        seconds=seconds,
        mails=mails,
        processor=SENDERS,
    )


def _looked_at(place: Place, running: Running, options: argparse.Namespace) -> str:
    """The stacks that py-spy saw: frames from the outermost, how often."""
    spy = python_of_peers(place.kept).with_name("py-spy")
    raw = place.folder / "stacks"
    command = [str(spy), "record", "--format", "raw", "--rate", str(_RATE), "--nolineno"]
    command += ["--duration", str(int(options.seconds)), "--output", str(raw)]
    command += ["--pid", str(running.processes[0])]
    with _senders(place, running, options, seconds=options.seconds + 2).sending():
        done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, f"py-spy: {done.stderr.strip()[-500:]}"
    return raw.read_text()


def table(stacks: Iterable[str], microseconds: float) -> str:
    """Steps, their share of all samples, and of ``microseconds`` a mail, as Markdown."""
    found: Counter[str] = Counter()
    for line in stacks:
        stack, _, number = line.rpartition(" ")
        found[step(stack.split(";"))] += int(number)
    samples = found.total()
    rows = ["| step | share | us a mail |", "|---|--:|--:|"]
    for name in STEPS:
        share = found[name] / samples
        rows.append(f"| {name} | {share:.1%} | {share * microseconds:,.0f} |")
    rows.append(f"| **all** ({samples:,} samples) | | **{microseconds:,.0f}** |")
    return "\n".join(rows)


def step(frames: Sequence[str]) -> str:
    """The step that the innermost frame of a known one stands for."""
    for frame in reversed(frames):
        if frame.startswith(_LOOP):
            break
        for name, marks in STEPS.items():
            if any(mark in frame for mark in marks):
                return name
    return next(reversed(STEPS))


# Below it stands what runs the loop, above it what the loop runs.
_LOOP = "BaseEventLoop._run_once"


if __name__ == "__main__":
    sys.exit(main())

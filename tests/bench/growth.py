"""How cost grows: with mails, their parts and recipients, senders, the model, corpus and feedback.

    python tests/bench/growth.py [--quick] [--only REGEX] [--mails 8000] [--page FILE] [--json FILE]

Draws build/bench/growth.html, and prints the power of each curve's upper half: 1 is linear, and
what is above is named. Cost is processor time of the filter (one worker), so that other load shows
little. ``--mails`` is the largest corpus and feedback; 10^5 takes hours. It only measures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # when started as a script

from bench.memory import large_mail
from bench.throughput.curves import Curve, page, summary
from bench.throughput.measure import MB, Meter, pss
from bench.throughput.messages import CORPUS, LABELS, Mails, Writer, prepare, read_paragraphs
from bench.throughput.peers import HERE, Ours, Place, Running, read_json
from bench.throughput.processes import running_sink
from bench.throughput.senders import Load, Senders
from harness.feedback import put

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "build" / "bench"
_ENOUGH = 20 * MB  # octets sent for one point, where mails are large
_DIFFERENT = 5  # mails for one point, where they are small
_OWNERS = 50
_BEGIN = 1.79e9  # when the first correction was filed, in seconds of Unix time


@dataclass(frozen=True)
class Bench:
    """What curves are measured with. ``mails``: of the largest corpus."""

    place: Place
    writer: Writer
    quick: bool
    mails: int

    def folder(self) -> Path:
        """A new, empty one."""
        return Path(tempfile.mkdtemp(dir=self.place.folder))

    def steps(self, *sizes: int) -> Sequence[int]:
        """With ``--quick`` three of them: to see that it runs."""
        return sizes[: len(sizes) // 2 + 1][-3:] if self.quick else sizes


# --- the filter -------------------------------------------------------------------------


@contextmanager
def filtering(bench: Bench) -> Iterator[Running]:
    """The filter with a next hop that throws all away, some mails through already."""
    with (
        running_sink(bench.place.folder / "sink.log") as (port, _),
        Ours().running(bench.place, port) as running,
    ):
        Senders(running.port, [bench.place.mails.test], mails=200).send()
        yield running


def cost(running: Running, senders: Senders) -> tuple[float, Load]:
    """Milliseconds of processor time a mail."""
    with Meter(running.processes) as meter:
        load = senders.send()
    return meter.cpu / load.mails * 1000, load


def of_mails(
    bench: Bench, title: str, sizes: str, steps: Sequence[int], mail: Callable[[int], bytes]
) -> Curve:
    """One sender, each mail as large as the step says."""
    curve = Curve(title, sizes, "ms of processor time a mail")
    with filtering(bench) as running:
        for step in steps:
            folder = bench.folder()
            for number in range(_DIFFERENT):  # one again and again would be remembered
                path = folder / f"{number}.eml"
                path.write_bytes(mail(step))
                if path.stat().st_size > MB:
                    break
            Senders(running.port, [folder], count=1, mails=2).send()
            some = max(_DIFFERENT, min(200, _ENOUGH // path.stat().st_size))
            few = 2 if bench.quick else some
            senders = Senders(running.port, [folder], count=1, mails=few)
            curve.points.append((step, cost(running, senders)[0]))
    return curve


def text(bench: Bench) -> Iterator[Curve]:
    """Text that is all read."""
    steps = bench.steps(1000, 5000, 20_000, 100_000, 500_000, 2 * MB, 10 * MB)
    yield of_mails(bench, "octets of plain text", "octets", steps, bench.writer.of_text)


def attachment(bench: Bench) -> Iterator[Curve]:
    """A few words and an attachment."""
    steps = bench.steps(10_000, 50_000, 200_000, MB, 5 * MB, 25 * MB)
    yield of_mails(
        bench, "octets, attached", "octets", steps, lambda octets: large_mail(octets / MB)
    )


def parts(bench: Bench) -> Iterator[Curve]:
    """Short text parts beside one another."""
    steps = bench.steps(1, 3, 10, 30, 100, 300, 1000, 3000)
    yield of_mails(bench, "MIME parts", "parts", steps, bench.writer.of_parts)


def recipients(bench: Bench) -> Iterator[Curve]:
    """One mail to many."""
    curve = Curve("recipients of a mail", "recipients", "ms of processor time a mail")
    with filtering(bench) as running:
        for step in bench.steps(1, 3, 10, 30, 100, 300, 1000):
            number = 4 if bench.quick else max(10, 200 // step)
            senders = Senders(
                running.port, [bench.place.mails.test], count=1, mails=number, recipients=step
            )
            curve.points.append((step, cost(running, senders)[0]))
    yield curve


def senders(bench: Bench) -> Iterator[Curve]:
    """More of them must make each wait longer, but no mail dearer."""
    each = Curve("senders: cost of each mail", "senders", "ms of processor time a mail", allowed=0)
    waits = Curve("senders: what a mail waits", "senders", "ms, half of the mails")
    memory = Curve("senders: memory", "senders", "MB (PSS)")
    for step in bench.steps(1, 2, 5, 10, 20, 50, 100, 200, 500):
        with filtering(bench) as running:
            number = max(step, 100) if bench.quick else max(4 * step, 1000)
            spent, load = cost(
                running, Senders(running.port, [bench.place.mails.test], count=step, mails=number)
            )
            each.points.append((step, spent))
            waits.points.append((step, load.within(0.5)))
            memory.points.append((step, pss(running.processes)))
    yield from (each, waits, memory)


# --- learning ---------------------------------------------------------------------------


def corpus(bench: Bench) -> Iterator[Curve]:
    """Fitting a corpus of made-up mails; then what models of these sizes cost the filter."""
    seconds = Curve("corpus: fitting, time", "mails", "s of processor time")
    memory = Curve("corpus: fitting, memory", "mails", "MB (PSS), highest")
    verdict = Curve("model: a verdict", "octets of the bundle", "us", allowed=0)
    opened = Curve("model: opening", "octets of the bundle", "ms of processor time")
    for mails in _corpus_steps(bench):
        folder, models = make_corpus(bench, mails), bench.folder()
        command = [sys.executable, "-m", "training", "fit", "--corpus", str(folder)]
        spent, highest = watched([*command, "--models", str(models), "--jobs", "1"])
        seconds.points.append((mails, spent))
        memory.points.append((mails, highest))
        (bundle,) = models.glob("*/weights.npz")
        # Not published: that would ask it to be a good one, which made-up mails do not give.
        (models / "current").write_text(bundle.parent.name)
        figures = judged(bench, models)
        verdict.points.append((bundle.stat().st_size, figures["us"]))
        opened.points.append((bundle.stat().st_size, figures["opening"] / 1000))
        shutil.rmtree(folder)
    yield from (seconds, memory, verdict, opened)


def feedback(bench: Bench) -> Iterator[Curve]:
    """One retrain with corrections of fifty owners, beside a corpus of 1,000 made-up mails."""
    seconds = Curve("feedback: retraining, time", "corrections", "s of processor time")
    memory = Curve("feedback: retraining, memory", "corrections", "MB (PSS), highest")
    folder = make_corpus(bench, 1000)
    for mails in _corpus_steps(bench):
        models, filed = bench.folder(), bench.folder()
        shutil.copytree(ROOT / "models", models, dirs_exist_ok=True)
        for i in range(mails):
            label = ("fake", "none")[i % 2]
            put(
                filed / f"owner{i % _OWNERS}" / label / f"{i}.eml",
                bench.writer.of_text(800, label),
                _BEGIN + 60 * i,
            )
        command = [sys.executable, "-m", "training", "retrain", "--feedback", str(filed)]
        command += ["--models", str(models), "--corpus", str(folder), "--jobs", "1"]
        spent, highest = watched(command)
        seconds.points.append((mails, spent))
        memory.points.append((mails, highest))
        shutil.rmtree(filed)
    yield from (seconds, memory)


def _corpus_steps(bench: Bench) -> Sequence[int]:
    """Each twice the one before, up to the largest."""
    largest = 800 if bench.quick else bench.mails
    return [largest >> halved for halved in range(3 if bench.quick else 5)][::-1]


def make_corpus(bench: Bench, mails: int) -> Path:
    """Made-up mails, laid out as the corpus is: by label, language and theme, ten to a theme."""
    folder = bench.folder()
    for i in range(mails):
        label = LABELS[i % len(LABELS)]
        path = folder / label / "en" / f"theme{i // 30}" / f"made-{i}.eml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bench.writer.of_text(800, label))
    return folder


def judged(bench: Bench, models: Path) -> dict[str, float]:
    """Microseconds that opening a model and a verdict with it take."""
    command: list[str | Path] = [sys.executable, HERE / "verdicts.py", "ours"]
    command += [bench.place.mails.folder, "--models", models]
    command += ["--mails", "100" if bench.quick else "1000"]
    return read_json(command, dict(os.environ))


def watched(command: Sequence[str]) -> tuple[float, float]:
    """Run ``command``: processor seconds, and the highest memory in MB, seen ten times a second.

    Status 3 is the gate's refusal: all work was done before it.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, text=True, cwd=ROOT)
        before, highest = os.times(), 0.0
        while process.poll() is None:
            highest = max(highest, pss([process.pid]))
            time.sleep(0.1)
        after = os.times()
        said.seek(0)
        assert process.returncode in (0, 3), said.read()[-500:]
    spent = after.children_user + after.children_system
    return spent - before.children_user - before.children_system, highest


CURVES: dict[str, Callable[[Bench], Iterator[Curve]]] = {
    "text": text,
    "attachment": attachment,
    "parts": parts,
    "recipients": recipients,
    "senders": senders,
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
    parser.add_argument("--mails", type=int, default=8000, help="of the largest corpus")
    parser.add_argument("--page", metavar="FILE", type=Path, default=KEPT / "growth.html")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write each point")
    parser.add_argument("--quick", action="store_true", help="to see that it runs; no figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())

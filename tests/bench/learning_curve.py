"""How many corrections it takes until a new campaign is known, and what that costs.

    python tests/bench/learning_curve.py [--measure DIR] [--json FILE] [--swapped]
        [--campaigns NAME...] [--cache DIR]

Campaigns that the corpus does not have (``families/``), one at a time: after 1, 3, 5 and 10
of its mails were filed as fake, which of ten others, worded anew, does the model call fake? The
mails go the way of every correction: a folder, labels and guards, candidates, and the gate beside
the model of the corpus alone, which stays where it refuses all of them. Of mail that is only
measured on (``--measure``), every wanted mail is counted that a model calls fake and the one of the
corpus alone does not.

The goal: after five corrections nine of ten are caught of each campaign, and no wanted mail more is
called fake. Exit status 1 where it is missed. ``training/NOTES.md`` says what was chosen by what.
``--swapped``: the halves of each campaign change places.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import families
from bench.material import (
    CACHE,
    CORPUS,
    MEASURE,
    PROCESSES,
    Measured,
    forked,
    joined,
    measured,
    told,
    views_of,
)
from harness.feedback import put

from milter.spam.bundle import LABELS
from milter.spam.verdict import Verdict
from training.compare import judge_views, judged
from training.data import Example, read_corpus, wanted
from training.feedback.collect import collect
from training.feedback.examples import as_examples
from training.feedback.settings import FeedbackSettings
from training.fit import FitSettings, Fitted, fit_views, read_examples
from training.jobs import Jobs
from training.trial import Material, Rival, Setting, boldest
from training.vectorize import Views, read_views

STEPS = (0, 1, 3, 5, 10)
# The goal: after so many corrections so large a share of the other mails is caught.
_AFTER, _CAUGHT = 5, 0.9
_FEEDBACK = FeedbackSettings()


@dataclass(frozen=True, slots=True)
class Point:
    """A campaign after some corrections. ``unsure``: neither caught nor passed over.

    ``learned``: how many mails the model in use has learned then; none where the gate refused.
    ``newly``: by set of the measuring mail, wanted mails called fake by this model and not by that
    of the corpus alone; None where there is no such mail. ``corpus``: the same of the corpus'
    wanted mails, each judged by models that saw none of its theme, as a difference in number.
    """

    family: str
    filed: int
    learned: int
    others: int
    caught: int
    unsure: int
    threshold: float
    newly: dict[str, int] | None
    corpus: int

    @property
    def good(self) -> bool:
        """Whether it keeps the goal, if it is of the goal's number."""
        return self.filed != _AFTER or (
            self.caught >= _CAUGHT * self.others and not any((self.newly or {}).values())
        )


@dataclass(frozen=True, slots=True)
class Base:
    """The corpus, read, and the model of it alone, which candidates are compared with."""

    examples: list[Example]
    views: Views
    settings: FitSettings
    alone: Fitted
    rival: Rival

    @classmethod
    def of(cls, corpus: Path, settings: FitSettings, cache: Path | None, jobs: Jobs) -> Base:
        """Read ``corpus`` and fit its model."""
        examples = read_corpus(corpus)
        views = views_of(examples, cache, jobs)
        alone = fit_views(views, examples, settings, jobs)
        rival = Rival(alone, judged(alone.out_of_fold, alone.thresholds).verdicts)
        return cls(examples, views, settings, alone, rival)

    def corrected(self, mails: Sequence[bytes]) -> tuple[Fitted, int]:
        """The model that is in use when ``mails`` were filed as fake, and how many it learned."""
        if not mails:
            return self.alone, 0
        material = self._filed(mails)
        views = joined(self.views, read_examples(material.feedback))
        found = boldest(Setting(material, views, self.settings, 1), self.rival, lambda *_: None)
        if found.refusals:
            return self.alone, 0
        return found.candidate, len(found.material.feedback)

    def _filed(self, mails: Sequence[bytes]) -> Material:
        with tempfile.TemporaryDirectory(prefix="coop-curve-") as folder:
            for number, octets in enumerate(mails):
                put(Path(folder) / "fake" / f"{number}.eml", octets, 1.79e9 + 3600 * number)
            found = collect([Path(folder)], _FEEDBACK, base=self.examples)
        filed = as_examples(found.mails, _FEEDBACK.shared_domains)
        moved = {mail.key: mail.moved for mail in found.mails}
        when = [moved[example.key] for example in filed]
        return Material(self.examples, filed, when, found.senders)

    def wanted_called_fake(self, model: Fitted) -> int:
        """Of the corpus, by models that saw none of the theme."""
        outside = model.out_of_fold[: len(self.examples), LABELS.index("fake")]
        return int((outside[wanted(self.examples)] >= model.thresholds.fake).sum())


@dataclass(frozen=True, slots=True)
class Course:
    """What all campaigns share. ``swapped``: the halves of each change places."""

    base: Base
    measuring: Measured | None = None
    swapped: bool = False
    steps: Sequence[int] = STEPS


def curve(course: Course, family: str) -> list[Point]:
    """The points of one campaign."""
    base, measuring = course.base, course.measuring
    halves = families.mails(family, "learn"), families.mails(family, "unseen")
    known, others = reversed(halves) if course.swapped else halves
    unseen = read_views(others)
    before = measuring.called_fake(base.alone) if measuring else None
    points = []
    for number in course.steps:
        model, learned = base.corrected(known[:number])
        verdicts = judge_views(unseen, model).verdicts
        newly = None
        if measuring and before is not None:
            newly = measuring.by_set(measuring.called_fake(model) & ~before)
        points.append(
            Point(
                family=family,
                filed=number,
                learned=learned,
                others=len(others),
                caught=int((verdicts == Verdict.FAKE).sum()),
                unsure=int((verdicts == Verdict.UNSURE).sum()),
                threshold=model.thresholds.fake,
                newly=newly,
                corpus=base.wanted_called_fake(model) - base.wanted_called_fake(base.alone),
            )
        )
    return points


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where the goal is missed."""
    options = _options(arguments)
    start = time.monotonic()
    settings = FitSettings(feedback_weight=options.weight, feedback_share=options.share)
    base = Base.of(options.corpus, settings, options.cache, options.jobs)
    measuring = measured(options.measure, options.jobs)
    if measuring is None:
        print(f"There is no measuring mail in {options.measure}; its columns stay empty.")
    course = Course(base, measuring, options.swapped)
    points = [
        point
        for points in forked(curve, course, options.campaigns, options.jobs)
        for point in points
    ]
    _show(points, measuring)
    print(f"It took {time.monotonic() - start:.0f} s.")
    if options.json:
        options.json.write_text(json.dumps(_facts(points, measuring), indent=1) + "\n")
    return 0 if all(point.good for point in points) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Recall of a new campaign by the number of its mails that were filed."
    )
    parser.add_argument("--corpus", metavar="DIR", type=Path, default=CORPUS)
    parser.add_argument("--measure", metavar="DIR", type=Path, default=MEASURE)
    parser.add_argument("--cache", metavar="DIR", type=Path, default=CACHE)
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures there")
    parser.add_argument("--jobs", metavar="N", type=int, default=PROCESSES, help="processes")
    parser.add_argument(
        "--swapped", action="store_true", help="learn from the ten unseen ones, judge the others"
    )
    parser.add_argument(
        "--campaigns", metavar="NAME", nargs="+", choices=families.NAMES, default=families.NAMES
    )
    usual = FitSettings()
    parser.add_argument("--weight", type=float, default=usual.feedback_weight)
    parser.add_argument("--share", type=float, default=usual.feedback_share)
    return parser.parse_args(arguments)


def _facts(points: Sequence[Point], measuring: Measured | None) -> dict[str, Any]:
    return {
        "points": [asdict(point) for point in points],
        "wanted_mails": measuring.mails() if measuring else None,
        "goal_kept": all(point.good for point in points),
    }


def _show(points: Sequence[Point], measuring: Measured | None) -> None:
    from rich.console import Console
    from rich.table import Table

    mails = told(measuring.mails()) if measuring else "none"
    table = Table(
        title="Ten other mails of a campaign, after some were filed as fake\n"
        f"wanted mail to measure on: {mails}",
        title_justify="left",
    )
    table.add_column("campaign", no_wrap=True)
    for name in ("filed", "learned", "fake", "unsure", "threshold"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("wanted newly fake", no_wrap=True)
    table.add_column("corpus", justify="right")
    for point in points:
        table.add_row(*_cells(point), style="" if point.good else "red")
        if point.filed == max(STEPS):
            table.add_section()
    Console().print(table)
    for number in STEPS:
        chosen = [point for point in points if point.filed == number]
        caught, others = sum(p.caught for p in chosen), sum(p.others for p in chosen)
        print(f"after {number:2}: {caught} of {others} called fake")


def _cells(point: Point) -> list[str]:
    return [
        point.family,
        str(point.filed),
        str(point.learned),
        str(point.caught),
        str(point.unsure),
        f"{point.threshold:.3f}",
        "" if point.newly is None else told(point.newly),
        f"{point.corpus:+d}",
    ]


if __name__ == "__main__":
    sys.exit(main())

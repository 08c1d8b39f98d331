"""What the filter did or would have done (``coop-verdict shadow-report``), from its index.

The index (``milter.seen``) names no sender, no recipient and no subject: a case is found again by
its id in the log, or by its time in a mailbox.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from heapq import heappop, heappush

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from milter.config import Settings
from milter.evidence import Standing
from milter.report import printable
from milter.seen import Seen
from milter.spam.action import Action
from milter.spam.verdict import Verdict

#: Cases that are shown, half of them from each side of the threshold if there are so many.
CASES = 10


@dataclass(slots=True)
class Day:
    """Mails of one day (local time): those called fake by what is done with such mail.

    A mail to several recipients with different wishes counts in several columns.
    """

    day: str
    mails: int = 0
    fake: int = 0
    tagged: int = 0
    subject_marked: int = 0
    held: int = 0
    left_alone: int = 0
    unsure: int = 0
    unscored: int = 0


_COLUMN = {
    Action.TAG: "tagged",
    Action.TAG_SUBJECT: "subject_marked",
    Action.QUARANTINE: "held",
    Action.NOTHING: "left_alone",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A mail of which the model was unsure; ``margin``: its score less the threshold of fake."""

    time: float
    id: str
    verdict: str
    score: float
    margin: float
    asks: list[str]
    offers: list[str]


@dataclass(slots=True)
class Report:
    """``days`` in their order; ``cases``: the least sure first; ``refused``: mails that the next
    hop did not take, which count nowhere else (their sender may have tried again)."""

    since: float
    days: list[Day] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    refused: int = 0

    @property
    def total(self) -> Day:
        """All days as one."""
        total = Day("all")
        for day in self.days:
            for name in Day.__slots__[1:]:
                setattr(total, name, getattr(total, name) + getattr(day, name))
        return total


class _Nearest:
    """Of all cases on one side of the threshold, the few that are nearest to it, newest first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Case]] = []
        self._number = 0

    def add(self, case: Case) -> None:
        self._number += 1
        heappush(self._heap, (-abs(case.margin), self._number, case))
        if len(self._heap) > CASES:
            heappop(self._heap)

    def cases(self) -> list[Case]:
        return [case for _, _, case in sorted(self._heap, reverse=True)]


def summary(passages: Iterable[Seen], threshold: Callable[[str], float], since: float) -> Report:
    """The report on ``passages``; ``threshold``: that of fake, by the model's version."""
    days: dict[str, Day] = {}
    above, below = _Nearest(), _Nearest()
    report = Report(since)
    for seen in passages:
        if not 200 <= seen.reply < 300:
            report.refused += 1
            continue
        name = time.strftime("%Y-%m-%d", time.localtime(seen.time))
        _count(days.setdefault(name, Day(name)), seen)
        if seen.score is not None and not seen.reason:  # the model's own word, nobody else's
            side = above if seen.verdict == Verdict.FAKE else below
            side.add(_case(seen, seen.score, threshold(seen.model)))
    report.days = [days[name] for name in sorted(days)]
    report.cases = _least_sure(above.cases(), below.cases())
    return report


def _least_sure(above: list[Case], below: list[Case]) -> list[Case]:
    """Half from each side; where one has fewer, more from the other."""
    half = CASES // 2
    from_above = min(len(above), max(half, CASES - len(below)))
    found = above[:from_above] + below[: CASES - from_above]
    return sorted(found, key=lambda case: abs(case.margin))


def _case(seen: Seen, score: float, threshold: float) -> Case:
    margin = round(score - threshold, 4)
    return Case(seen.time, seen.id, seen.verdict, score, margin, seen.asks, seen.offers)


def _count(day: Day, seen: Seen) -> None:
    day.mails += 1
    day.unsure += seen.verdict == Verdict.UNSURE
    day.unscored += seen.verdict == Verdict.UNSCORED
    if seen.verdict != Verdict.FAKE:
        return
    day.fake += 1
    # An older filter wrote no action: it tagged.
    wanted = (seen.would or seen.action or Action.TAG).split(",")
    for action, column in _COLUMN.items():
        if action in wanted:
            setattr(day, column, getattr(day, column) + 1)


def costs(total: Day, days_kept: int) -> Iterator[str]:
    """What it would come to if one of the fakes was a wanted mail after all."""
    if total.held:
        yield (
            f"{_mails(total.held)} held back: a wanted one among them is not in the inbox. Its "
            f"recipient has to find it in the quarantine within {days_kept} days, then it is "
            "deleted; its sender hears nothing."
        )
    if total.subject_marked:
        yield (
            f"{_mails(total.subject_marked)} with a mark before the subject: a wanted one arrives, "
            "wrongly marked, also in the answer to it, and its DKIM signature is broken."
        )
    if total.tagged:
        yield (
            f"{_mails(total.tagged)} tagged in the header: a wanted one arrives as ever; only a "
            "rule of its recipient's that moves such mail hides it."
        )
    if not total.fake:
        yield "No mail was called fake: nothing would have been lost, and nothing found."


def _mails(count: int) -> str:
    return f"{count:,} {'mail' if count == 1 else 'mails'}"


def next_steps(settings: Settings, total: Day, standing: Standing) -> Iterator[str]:
    """What the admin had best do now."""
    if not total.mails:
        yield (
            "Wait for mail, or name the filter's own settings (--config): the index is in "
            f"{settings.journal.folder.absolute()}."
        )
        return
    yield (
        "Look at the mails above: the log tells the sender's domain and the time of each by its "
        "id=, and coop-verdict why MESSAGE-ID tells of one mail."
    )
    yield "File what was judged wrongly in a feedback folder (coop-train retrain learns from it)."
    wishes = (settings.policy.default, *settings.policy.recipients.values())
    if "quarantine" in wishes:
        yield standing.why
    if settings.policy.shadow:
        yield "If you agree with what you see, set shadow = false under [policy]."


def as_json(settings: Settings, report: Report, standing: Standing) -> str:
    """The report as one JSON object; times are Unix times."""
    total = report.total
    told = {
        "shadow": settings.policy.shadow,
        "since": report.since,
        "days": [asdict(day) for day in report.days],
        "total": {name: value for name, value in asdict(total).items() if name != "day"},
        "not_taken": report.refused,
        "least_sure": [asdict(case) for case in report.cases],
        "armed": standing.armed,
        "costs": list(costs(total, settings.quarantine.days)),
        "next": list(next_steps(settings, total, standing)),
    }
    return json.dumps(told)


def as_text(settings: Settings, report: Report, standing: Standing) -> str:
    """The report for people."""
    console = Console(highlight=False)
    total = report.total
    with console.capture() as capture:
        console.print(_headline(settings, report, total))
        if total.mails:
            console.print(_days(report.days, total))
        if report.cases:
            console.print("[bold]What it was least sure of[/bold] (margin: from the threshold)")
            console.print(_cases(report.cases))
        console.print("[bold]If one of the fakes was wanted after all[/bold]")
        for line in costs(total, settings.quarantine.days):
            console.print(f"- {escape(line)}")
        console.print("[bold]What to do next[/bold]")
        for line in next_steps(settings, total, standing):
            console.print(f"- {escape(line)}")
    return capture.get()


def _headline(settings: Settings, report: Report, total: Day) -> str:
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.since))
    what = "would have been" if settings.policy.shadow else "was"
    mode = "Shadow mode is on: nothing was done to any mail." if settings.policy.shadow else ""
    left_out = (
        f" {_mails(report.refused)} that the next hop did not take are left out."
        if report.refused
        else ""
    )
    told = f"What {what} done with {_mails(total.mails)} since {since}."
    return escape(f"{told} {mode}{left_out}".strip())


def _days(days: list[Day], total: Day) -> Table:
    headings = ("", "mails", "fake", "tagged", "subject", "held", "left", "unsure", "unscored")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for day in [*days, total] if len(days) > 1 else days:
        values = asdict(day).values()
        style = "bold" if day is total else ""
        table.add_row(*(f"{v:,}" if isinstance(v, int) else v for v in values), style=style)
    return table


def _cases(cases: list[Case]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("time", "id", "verdict", "score", "margin"):
        table.add_column(heading, no_wrap=True)
    for heading in ("asks for", "offers"):
        table.add_column(heading)
    for case in cases:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(case.time))
        words = (", ".join(words) or "-" for words in (case.asks, case.offers))
        cells = (when, case.id, case.verdict, f"{case.score:.2f}", f"{case.margin:+.3f}", *words)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    return table

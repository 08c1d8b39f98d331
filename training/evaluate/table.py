"""The report for the terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from training.evaluate import wording
from training.evaluate.measure import VERDICTS
from training.evaluate.report import all_sets


def show(report: dict[str, Any], console: Console) -> None:
    """Print a report: for each set its main figures, what became of each label, and errors."""
    marks = report["thresholds"]
    console.print(
        f"{wording.judged_by(report)}; fake from {marks['fake']:g}, unsure from "
        f"{marks['unsure']:g}, genuine from {marks['genuine']:g}",
        highlight=False,
    )
    if caveat := wording.caveat(report):
        console.print(caveat, style="dim")
    for figures in all_sets(report):
        console.print(f"\n[bold]{escape(figures['name'])}[/bold]: {figures['mails']} mails")
        console.print(_headlines(figures))
        console.print(_outcomes(figures))
        if figures["errors"]:
            console.print(_errors(figures["errors"]))
        _show_unreadable(figures["unreadable"], console)


def _headlines(figures: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in wording.headlines(figures):
        table.add_row(name, value)
    return table


def _outcomes(figures: dict[str, Any]) -> Table:
    """The confusion table: label down, verdict across, for all and for each language."""
    table = Table("language", "label", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("mails", "recall", *(str(verdict) for verdict in VERDICTS)):
        table.add_column(name, justify="right")
    before = ""
    for language, label, outcome in wording.rows(figures):
        if before and language != before:
            table.add_section()
        verdicts = [str(outcome["verdicts"][verdict]) for verdict in VERDICTS]
        recall = outcome["recall"]
        table.add_row(
            escape(language) if language != before else "",
            label,
            str(recall["mails"]),
            wording.share(recall),
            *verdicts,
        )
        before = language
    return table


def _errors(errors: list[dict[str, Any]]) -> Table:
    table = Table("worst errors", "label", "verdict", box=None, padding=(0, 2, 0, 0))
    table.add_column("p(fake)", justify="right")
    for error in errors:
        score = wording.score(error["score"])
        table.add_row(escape(error["name"]), error["label"], error["verdict"], score)
    return table


def _show_unreadable(unreadable: list[dict[str, str]], console: Console) -> None:
    if unreadable:
        console.print(f"not counted, as they cannot be read: {len(unreadable)}", style="yellow")
    for mail in unreadable:
        console.print(f"  {escape(mail['name'])}: {escape(mail['fault'])}", highlight=False)

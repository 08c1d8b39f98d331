"""Judgements as text: a JSON object a line, a short line, or an explanation for people."""

from __future__ import annotations

import json

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from milter.check import Checked
from milter.spam.bundle import LABELS
from milter.spam.verdict import Verdict

_COLOURS = {
    Verdict.FAKE: "bold red",
    Verdict.GENUINE: "bold green",
    Verdict.NONE: "cyan",
    Verdict.UNSURE: "yellow",
    Verdict.UNSCORED: "dim",
}


def json_line(checked: Checked) -> str:
    """The judgement as one JSON object; numbers it does not have are null."""
    judgement = checked.judgement
    score = judgement.score
    return json.dumps(
        {
            "source": printable(checked.source),
            "verdict": str(judgement.verdict),
            "score": score.fake if score else None,
            "scores": {label: getattr(score, label) for label in LABELS} if score else None,
            "asks": list(judgement.asks),
            "offers": list(judgement.offers),
            "clues": [[text, round(weight, 4)] for text, weight in judgement.clues],
            "reason": judgement.reason and str(judgement.reason),
            "model": judgement.model,
        }
    )


def text_line(checked: Checked) -> str:
    """Verdict, score and source in columns."""
    judgement = checked.judgement
    detail = f"{judgement.score.fake:.2f}" if judgement.score else "-"
    reason = f"  ({judgement.reason})" if judgement.reason else ""
    return f"{judgement.verdict:<9}{detail:>5}  {printable(checked.source)}{reason}"


def explained(checked: Checked) -> str:
    """What a person wants to know: what it asks, what it offers, which words weighed."""
    judgement = checked.judgement
    console = Console()
    with console.capture() as capture:
        colour = _COLOURS[judgement.verdict]
        console.print(f"[bold]{escape(printable(checked.source))}[/bold]", highlight=False)
        verdict = f"[{colour}]{judgement.verdict}[/{colour}]"
        if judgement.score:
            verdict += "  " + "  ".join(
                f"{label} {getattr(judgement.score, label):.2f}" for label in LABELS
            )
        console.print(verdict, f"[dim]{judgement.reason or ''}[/dim]", highlight=False)
        if judgement.score:
            console.print(_table(checked))
    return capture.get()


def _table(checked: Checked) -> Table:
    judgement = checked.judgement
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("asks for", ", ".join(judgement.asks) or "nothing that is in the lists")
    table.add_row("offers", ", ".join(judgement.offers) or "nothing that is in the lists")
    for number, (text, weight) in enumerate(judgement.clues):
        colour = "red" if weight > 0 else "green"
        clue = f"[{colour}]{weight:+.1f}[/{colour}]  {escape(printable(text))}"
        table.add_row("" if number else "clues", clue)
    table.add_row("model", judgement.model)
    return table


def printable(text: str) -> str:
    """No control character of a file name or a mail reaches the terminal."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)

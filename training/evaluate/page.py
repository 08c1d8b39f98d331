"""The report as one HTML page: no network, no script, light and dark, and all of it escaped.

``page.html`` is the frame and has the style; what stands here fills it with tables and curves.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from training.evaluate import plots, wording
from training.evaluate.markup import escaped, headings, row, table, tile
from training.evaluate.measure import VERDICTS
from training.evaluate.report import all_sets

_FRAME = Path(__file__).with_name("page.html")


def page(report: dict[str, Any]) -> str:
    """The page of a report."""
    marks = report["thresholds"]
    told = wording.judged_by(report)
    caveat = wording.caveat(report)
    sets = list(enumerate(all_sets(report), 1))
    return Template(_FRAME.read_text(encoding="utf-8")).substitute(
        judged_by=escaped(told[0].upper() + told[1:]),
        caveat=f'<p class="soft">{escaped(caveat)}</p>' if caveat else "",
        **{kind: f"{mark:g}" for kind, mark in marks.items()},
        overview=_overview(sets),
        sets="\n".join(_section(number, figures, marks) for number, figures in sets),
    )


def _overview(sets: list[tuple[int, dict[str, Any]]]) -> str:
    if len(sets) < 2:
        return ""
    rows = [
        row(
            f'<a href="#set-{number}">{escaped(figures["name"])}</a>',
            (
                str(figures["mails"]),
                wording.share(figures["false_positives"]),
                wording.share(wording.recall(figures)),
                wording.one_minus_area(figures),
            ),
        )
        for number, figures in sets
    ]
    names = ("set", "mails", "wanted called fake", "fakes called fake", "1 − ROC area")
    return table("The sets", headings(*names), [rows])


def _section(number: int, figures: dict[str, Any], marks: dict[str, float]) -> str:
    parts = [
        f"<h2>{escaped(figures['name'])} <small>{figures['mails']} mails</small></h2>",
        _tiles(figures),
        "<h3>What became of them</h3>",
        _outcomes(figures),
        "<h3>Curves</h3>",
        curves(number, figures, marks),
        _errors(figures["errors"]),
        _unreadable(figures["unreadable"]),
    ]
    return f'<section id="set-{number}">\n' + "\n".join(filter(None, parts)) + "\n</section>"


def _tiles(figures: dict[str, Any]) -> str:
    """The main figures, large, each with what makes it sure or unsure."""
    tiles = [
        _rate_tile("Wanted mail called fake", figures["false_positives"]),
        *(
            _rate_tile(f"… {'hard cases' if kind == 'hard' else 'everyday mail'}", rate)
            for kind, rate in sorted((figures["hardness"] or {}).items())
        ),
        _rate_tile("Fakes called fake", wording.recall(figures)),
        _roc_tile(figures),
        _misses_tile(figures["misses"]),
        _calibration_tile(figures["calibration"]),
    ]
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _rate_tile(name: str, rate: dict[str, Any] | None) -> str:
    if not rate:
        return ""
    more = f"{rate['count']} of {rate['mails']}; {wording.interval(rate)}"
    return tile(name, wording.share(rate), more)


def _roc_tile(figures: dict[str, Any]) -> str:
    if not figures["roc"]:
        return ""
    return tile("1 − ROC area", wording.one_minus_area(figures), "fakes against the rest")


def _misses_tile(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    name = "Misses at 0.1 % false positives"
    missed = f"{found['missed']['count']} of {found['missed']['mails']} fakes"
    if found["resolved"]:
        more = f"{missed}, at a threshold above {found['above']:.3f}"
        return tile(name, wording.share(found["missed"]), more)
    more = (
        f"only {found['wanted']} wanted mails; with none of them called fake (above "
        f"{found['above']:.3f}), {wording.share(found['missed'])} are missed: {missed}"
    )
    return tile(name, "not to be had", more)


def _calibration_tile(found: dict[str, Any] | None) -> str:
    if not found:
        return ""
    more = f"log loss {found['log_loss']:.3f}, Brier score {found['brier']:.3f}"
    return tile("Expected calibration error", f"{found['expected_error']:.3f}", more)


def _outcomes(figures: dict[str, Any]) -> str:
    """Label down, verdict across, for all mails and for each language."""
    groups: dict[str, list[str]] = {}
    for language, label, outcome in wording.rows(figures):
        group = groups.setdefault(language, [])
        group.append(_outcome("" if group else language, label, outcome))
    names = ("language", "label", "mails", "recall", "95 %", *(str(v) for v in VERDICTS))
    caption = "Mails of each label by the verdict they got; recall is the share that got its own"
    return table(caption, headings(*names, texts=2), groups.values())


def _outcome(language: str, label: str, outcome: dict[str, Any]) -> str:
    recall = outcome["recall"]
    interval = wording.interval(recall).removeprefix("95 %: ")
    cells = [
        f'<th scope="row">{escaped(language)}</th>',
        f'<th scope="row" class="{label}">{label}</th>',
        f"<td>{recall['mails']}</td><td>{escaped(wording.share(recall))}</td>",
        f'<td class="soft">{escaped(interval)}</td>',
    ]
    for verdict in VERDICTS:
        count = outcome["verdicts"][verdict]
        kind = "zero" if not count else "own" if verdict == label else "off"
        share = f"--share:{count / recall['mails']:.3f}"
        cells.append(f'<td class="{kind}" style="{share}">{count}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def curves(number: int, figures: dict[str, Any], marks: dict[str, float]) -> str:
    name = f"set-{number}"
    drawn = [
        (
            "ROC curve",
            plots.roc(figures, f"{name}-roc"),
            "Fakes found against wanted mail called fake, for every threshold; left is better. The "
            "axis is logarithmic, and its left end means none. Dotted: one in a thousand, where "
            "the set has mails enough to see it.",
        ),
        (
            "Recall by threshold",
            plots.thresholds(figures, marks, f"{name}-thresholds"),
            "What each threshold finds, and what wanted mail it costs. Dotted: the thresholds in "
            "use, unsure and fake.",
        ),
        (
            "Reliability",
            plots.reliability(figures, f"{name}-reliability"),
            "On the dotted line a score means what it says; below it the model is too sure of "
            "fake. Bars are 95 % intervals.",
        ),
        (
            "Scores by label",
            plots.histogram(figures, f"{name}-histogram"),
            "How p(fake) is spread over the mails of each label.",
        ),
    ]
    figures_ = [
        f"<figure><b>{title}</b>{svg}<figcaption>{escaped(text)}</figcaption></figure>"
        for title, svg, text in drawn
        if svg
    ]
    return f'<div class="plots">{"".join(figures_)}</div>'


def _errors(errors: list[dict[str, Any]]) -> str:
    if not errors:
        return ""
    rows = [
        f'<tr><td class="name">{escaped(error["name"])}</td>'
        f'<td class="text {error["label"]}">{error["label"]}</td>'
        f'<td class="text">{error["verdict"]}</td>'
        f"<td>{wording.score(error['score'])}</td></tr>"
        for error in errors
    ]
    caption = "Wanted mail called fake first, then those whose own label was least likely"
    names = headings("mail", "label", "verdict", "p(fake)", texts=3)
    return "<h3>Worst errors</h3>" + table(caption, names, [rows])


def _unreadable(unreadable: list[dict[str, str]]) -> str:
    if not unreadable:
        return ""
    rows = [
        f'<tr><td class="name">{escaped(mail["name"])}</td>'
        f'<td class="text">{escaped(mail["fault"])}</td></tr>'
        for mail in unreadable
    ]
    caption = f"{len(unreadable)} that cannot be read; no figure counts them"
    return "<h3>Not counted</h3>" + table(caption, headings("mail", "why", texts=2), [rows])

"""The report of a retrain as one HTML page: no network, no script, and all of it escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template

import numpy as np

from training.compare import Judgements, Tally, judged
from training.data import Example, hard_cases
from training.evaluate.markup import escaped, headings, row, style, table, tile
from training.evaluate.measure import Judged, measure
from training.evaluate.page import curves
from training.feedback.mails import Fate
from training.gate import Check, Part
from training.retrain import Outcome, Retrained
from training.trial import Trial
from training.words import Shift, shifts

_FRAME = Path(__file__).with_name("report_retrain.html")
# Words of each direction; behind these come such that hardly moved.
_WORDS = 30
# Senders in their table.
_SENDERS = 500
# Mails in the table of fates; those that were not learned come first. receipts.jsonl has all.
_FATES = 2000


def page(found: Retrained) -> str:
    """The page of a retrain."""
    sections = [_fates(found.fates)]
    if found.trial:
        trial = found.trial
        sections = [
            _gate(trial.checks, found.refusals),
            _tallies(trial),
            _parts(trial.parts),
            _curves(trial),
            *sections,
            _words(trial),
            _senders(trial),
        ]
    return Template(_FRAME.read_text(encoding="utf-8")).substitute(
        style=style(),
        colour="fake" if found.refusals else "genuine",
        headline=escaped(headline(found)),
        notes="\n".join(f'<p class="soft">{escaped(note)}</p>' for note in found.notes),
        sections="\n".join(sections),
    )


def headline(found: Retrained) -> str:
    """How it ended, in a sentence."""
    return {
        Outcome.PUBLISHED: f"Model {found.version} is in use now; before it was "
        f"{found.before or 'none'}.",
        Outcome.REFUSED: "The candidate is not published: the gate refused it. In use "
        f"{f'stays model {found.before}' if found.before else 'is still none'}.",
        Outcome.SAME: f"What there is to learn gives model {found.version}, which is in use.",
        Outcome.UNCHANGED: "Nothing has changed since the last retrain; in use is "
        f"{found.version or 'no model'}.",
        Outcome.NOTHING: "There is no feedback to learn from, so there is nothing to do.",
    }[found.outcome]


def _section(title: str, *parts: str) -> str:
    return "\n".join(
        ["<section>", f"<h2>{escaped(title)}</h2>", *filter(None, parts), "</section>"]
    )


def _gate(checks: Sequence[Check], refusals: Sequence[str]) -> str:
    rows = [_check(check.about, check.passed, check.told) for check in checks]
    told = {check.told for check in checks}
    rows += [_check("proof of the bundle", False, text) for text in refusals if text not in told]
    names = headings("check", "", "figures", texts=3)
    return _section("The gate", table("Each must be passed", names, [rows]))


def _check(about: str, passed: bool, told: str) -> str:
    kind, word = ("genuine", "passed") if passed else ("fake", "refused")
    return (
        f'<tr><th scope="row">{escaped(about)}</th><td class="text {kind}">{word}</td>'
        f'<td class="name">{escaped(told)}</td></tr>'
    )


def _tallies(trial: Trial) -> str:
    tiles = [
        *_tally("corrections", trial.of_feedback, "the candidate has learned them"),
        *_tally("corpus", trial.of_corpus, "by models that saw none of the theme"),
    ]
    return _section("Against the model in use", f'<dl class="tiles">{"".join(tiles)}</dl>')


def _tally(name: str, found: Tally, how: str) -> Iterable[str]:
    figures = f"{found.won} / {found.tied} / {found.lost}"
    yield tile(f"Won / tied / lost: {name}", figures, f"{found.mails} mails, {how}")


def _parts(parts: Sequence[Part]) -> str:
    rows = [
        row(
            f"{escaped(part.label)}, {escaped(part.language)}",
            map(
                str,
                (
                    *(part.tally.mails, part.before, part.after),
                    *(part.tally.won, part.tally.lost),
                ),
            ),
        )
        for part in parts
    ]
    names = headings("label, language", "mails", "found before", "found now", "won", "lost")
    caption = "Mails of the corpus that get their own label, by models that saw none of the theme"
    return _section("Languages and labels", table(caption, names, [rows]))


def _curves(trial: Trial) -> str:
    base, feedback = trial.material.base, trial.material.feedback
    marks = asdict(trial.candidate.thresholds)
    outside = trial.candidate.out_of_fold[: len(base)]
    drawn = [
        _drawn(1, "corpus", base, judged(outside, trial.candidate.thresholds), marks),
        _drawn(2, "corrections", feedback, trial.unseen, marks) if feedback else "",
    ]
    caption = "The candidate's curves, each mail judged by a model that saw none of its siblings."
    return _section("Curves", f'<p class="soft">{caption}</p>', *drawn)


def _drawn(
    number: int, name: str, examples: list[Example], found: Judgements, marks: dict[str, float]
) -> str:
    mails = Judged(
        names=np.array([example.name for example in examples]),
        labels=np.array([example.label for example in examples]),
        languages=np.array([example.language for example in examples]),
        verdicts=found.verdicts,
        probabilities=found.probabilities,
        hard=hard_cases(examples),
    )
    title = f"<h3>{escaped(name)}: {len(examples)} mails</h3>"
    return title + curves(number, measure(mails), marks)


def _fates(fates: Sequence[Fate]) -> str:
    summary = [_cells(*counted) for counted in by_fate(fates)]
    ordered = sorted(fates, key=lambda fate: (fate.outcome == "learned", fate.source, fate.key))
    rows = [
        _cells(fate.source, fate.label, fate.outcome, fate.reason, fate.model, fate.message_id)
        for fate in ordered[:_FATES]
    ]
    more = len(fates) - len(rows)
    caption = "What became of each mail" + (f"; {more} more are in receipts.jsonl" if more else "")
    names = headings("mail", "filed as", "outcome", "why", "model", "Message-ID", texts=6)
    return _section(
        "Feedback",
        table(
            "What was learned, and what not and why",
            headings("outcome", "why", "mails", texts=2),
            [summary],
        ),
        "<h3>One by one</h3>" if rows else "",
        table(caption, names, [rows]) if rows else "",
    )


def by_fate(fates: Sequence[Fate]) -> list[tuple[str, str, int]]:
    """Outcome, reason and number of mails."""
    counts = Counter((fate.outcome, str(fate.reason)) for fate in fates)
    return [(outcome, reason, number) for (outcome, reason), number in sorted(counts.items())]


def _cells(*values: object) -> str:
    """A row of texts; numbers stand on the right."""
    cells = (
        f"<td{'' if isinstance(value, int) else ' class=name'}>{escaped(value)}</td>"
        for value in values
    )
    return f"<tr>{''.join(cells)}</tr>"


def _words(trial: Trial) -> str:
    feedback = trial.material.feedback
    if not feedback:
        return ""
    views = trial.views.of(len(trial.material.base) + np.arange(len(feedback)))
    gained, lost = shifts(feedback, views, trial.reference, trial.candidate, _WORDS)
    return _section(
        "Words",
        _shifts("Words of the feedback mails that speak more for fake than before", gained),
        _shifts("... and that speak less for it", lost),
    )


def _senders(trial: Trial) -> str:
    names = sorted(trial.material.senders)
    if not names:
        return ""
    caption = (
        "A mail from one of these is fake where by its words it would be unsure. "
        "One mail of theirs that is filed as wanted clears them."
    )
    more = f" The first {_SENDERS} of {len(names)}." if len(names) > _SENDERS else ""
    rows = [_cells(name) for name in names[:_SENDERS]]
    shown = table(caption + more, headings("sender", texts=1), [rows])
    return _section("Whose mail is believed less", shown)


def _shifts(caption: str, found: Sequence[Shift]) -> str:
    rows = [
        row(
            escaped(shift.name),
            (str(shift.mails), f"{shift.before:+.2f}", f"{shift.after:+.2f}"),
        )
        for shift in found
    ]
    return table(caption, headings("word", "in mails", "before", "now"), [rows]) if rows else ""

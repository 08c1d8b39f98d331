"""What the commands of ``coop-train`` do: one stage of learning each. Only this module prints.

Libraries are imported where they are used: ``coop-train --help`` needs none of them. What goes
wrong is raised; ``cli`` says it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from milter.errors import CoopError

if TYPE_CHECKING:
    from training.jobs import Jobs
    from training.plan import Row
    from training.retrain import Retrained

#: Exit statuses: done; the corpus does not meet its plan; it could not be done; the gate held a
#: candidate back.
OK, MISSING, REFUSED, HELD_BACK = 0, 1, 2, 3
#: The page of the last retrain, in the folder of the models.
REPORT = "retrain.html"


def corpus(options: argparse.Namespace) -> int:
    """Print planned, there and missing; status 1 where the plan or a rule is not kept."""
    from training.data import read_corpus
    from training.plan import compare, read_mails, read_plan, unplanned
    from training.rules import all_faults

    plan = read_plan()
    mails = read_mails(read_corpus(options.corpus))
    rows = compare(plan, mails)
    _print_plan(rows, len(mails))
    faults = [f"{theme}: not in the plan" for theme in unplanned(plan, mails)]
    faults += all_faults(mails, plan["newest"])
    missing = sum(row.missing != 0 for row in rows)
    print(f"{missing} of {len(rows)} lines not met; {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return MISSING if missing or faults else OK


def _print_plan(rows: Sequence[Row], mails: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", title=f"{mails} mails", title_justify="left")
    for name in ("planned", "there", "missing"):
        table.add_column(name, justify="right")
    section = ""
    for row in rows:
        if row.section != section:
            section = row.section
            table.add_section()
            table.add_row(section, style="bold")
        style = "red" if row.missing else ""
        table.add_row(f"  {row.name}", row.planned, row.counted, row.lacking, style=style)
    Console().print(table)


def fit(options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from training.data import read_corpus
    from training.fit import FitSettings, fit
    from training.publish import write_bundle

    settings = FitSettings()
    examples = read_corpus(options.corpus)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("reading mails", total=len(examples))
        heard = 0

        def advance(done: int) -> None:
            nonlocal heard
            progress.update(task, completed=done)
            if done == len(examples) and done != heard:
                progress.update(task, description="fitting")
            heard = done

        fitted = fit(examples, settings, options.jobs, advance)
    bundle = write_bundle(options.models, fitted, examples, settings)
    _print_figures(json.loads((bundle / "manifest.json").read_text())["out_of_fold"])
    print(f"\nwritten: {bundle}")
    print(f"To put it in use: coop-train publish {bundle.name} --models {options.models}")


def _print_figures(found: dict[str, Any]) -> None:
    """The out-of-fold figures as a table."""
    from rich.console import Console
    from rich.table import Table

    title = (
        f"{found['mails']} mails, {found['themes']} themes, each judged by a model that saw none "
        f"of its theme\n1-AUC {found['one_minus_auc_percent']:.2f} %, "
        f"log loss {found['log_loss']:.3f}"
    )
    for kind, wanted in found["wanted_called_fake"].items():
        title += (
            f"\nwanted mail called fake, {kind}: {wanted['count']} of {wanted['mails']} "
            f"(95 %: {wanted['low']:.2%} to {wanted['high']:.2%})"
        )
    table = Table("language", "label", title=title, title_justify="left")
    for name in ("mails", "recall", "fake", "unsure", "genuine", "none"):
        table.add_column(name, justify="right")
    for language, labels in found["by_language"].items():
        for label, row in labels.items():
            verdicts = [str(row[name]) for name in ("fake", "unsure", "genuine", "none")]
            table.add_row(language, label, str(row["mails"]), f"{row['recall']:.0%}", *verdicts)
    Console().print(table)


def evaluate(options: argparse.Namespace) -> None:
    from rich.console import Console

    from training.evaluate.report import to_json
    from training.evaluate.table import show

    report = _judged_by_model(options) if options.sources else _judged_by_folds(options)
    show(report, Console())
    if options.json:
        options.json.write_text(to_json(report), encoding="ascii")
    if options.page:
        from training.evaluate.page import page

        options.page.write_text(page(report), encoding="utf-8")


def _judged_by_model(options: argparse.Namespace) -> dict[str, Any]:
    from milter.spam.bundle import open_models
    from training.evaluate.report import of_sources

    bundle = open_models(options.models, options.model or "current")
    with _judging() as advance:
        return of_sources(options.sources, bundle, options.list_errors, advance)


@contextmanager
def _judging() -> Iterator[Callable[[int], None]]:
    """A progress bar while mails are judged; what it gives is told how many are done."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("judging mails", total=None)

        def advance(done: int) -> None:
            progress.update(task, completed=done, description=f"judging mails: {done}")

        yield advance


def _judged_by_folds(options: argparse.Namespace) -> dict[str, Any]:
    from training.data import read_corpus
    from training.evaluate.report import of_folds
    from training.fit import FitSettings, fit

    _refuse_model_alone(options)
    settings = FitSettings()
    examples = read_corpus(options.corpus)
    fitted = fit(examples, settings, options.jobs)
    name = options.corpus.resolve().name
    return of_folds(name, examples, fitted, settings, options.list_errors)


def _refuse_model_alone(options: argparse.Namespace) -> None:
    if options.model and not options.sources:
        raise CoopError("--model needs sources: without any, models are fitted anew for the corpus")


def evasions(options: argparse.Namespace) -> None:
    from training.data import read_corpus
    from training.evaluate.disguises import Wanted
    from training.evaluate.evasions import of_folds, of_sources

    _refuse_model_alone(options)
    examples = read_corpus(options.corpus)
    wanted = Wanted.of(examples)
    if options.sources:
        from milter.spam.bundle import open_models

        bundle = open_models(options.models, options.model or "current")
        with _judging() as advance:
            rows = of_sources(options.sources, bundle, wanted, advance)
    else:
        from training.fit import FitSettings, fit

        settings = FitSettings()
        fitted = fit(examples, settings, options.jobs)
        with _judging() as advance:
            rows = of_folds(examples, fitted, settings, wanted, advance)
    _print_evasions(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")


def _print_evasions(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    from training.evaluate import wording

    title = f"{rows[0]['mails']} fakes, {wording.judged_by(rows[0])}"
    table = Table("evasion", title=title, title_justify="left")
    for name in ("recall", "95 %", "fall in points", "unsure or fake", "unscored"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row["evasion"],
            wording.percent(row["recall"]),
            wording.interval(row).removeprefix("95 %: "),
            f"{100 * row['fall']:.1f}",
            wording.percent(row["noticed"]),
            wording.percent(row["unscored"]),
        )
    Console().print(table)


def card(options: argparse.Namespace) -> None:
    from training.evaluate.card import card, read_reports

    reports = read_reports(options.figures)
    text = card(options.models, options.model, reports, options.evasions)
    out = options.out or options.models / "README.md"
    out.write_text(text, encoding="utf-8")
    print(f"written: {out}")


def retrain(options: argparse.Namespace) -> int:
    from training.feedback import settings
    from training.retrain import Order, retrain

    if options.report and not options.report.parent.is_dir():
        raise CoopError(f"{options.report}: there is no folder to write the page into")
    with _staged() as progress, _jobs(options) as jobs:
        order = Order(
            folders=options.feedback,
            models=options.models,
            corpus=options.corpus,
            feedback=settings.load(options.config),
            if_changed=options.if_changed,
            force=options.force,
            jobs=jobs,
        )
        found = retrain(order, progress)
    _print_retrained(found)
    _write_reports(options, found)
    return HELD_BACK if found.refusals else OK


def config(options: argparse.Namespace) -> None:
    from training.feedback.settings import annotated

    print(annotated(), end="")


def _write_reports(options: argparse.Namespace, found: Retrained) -> None:
    """The page beside the models, where the review page finds it, and where it was asked for."""
    from milter import durable
    from training.report_retrain import page
    from training.retrain import Outcome

    text = page(found)
    if found.outcome is not Outcome.UNCHANGED:  # what was done last is told on
        durable.replace(options.models / REPORT, text.encode(), 0o640)
    if options.report:
        options.report.write_text(text, encoding="utf-8")


@contextmanager
def _jobs(options: argparse.Namespace) -> Iterator[Jobs]:
    """Processes of this machine, or the cluster that was named."""
    if not options.cluster:
        yield options.jobs
        return
    from training.cluster import open_cluster

    with open_cluster(options.cluster) as cluster:
        yield cluster


@contextmanager
def _staged() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each stage; what it gives is told stage, how much is done, and of what."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage)
            # Of a stage that is one step nobody knows how far it is: its bar moves to and fro.
            known = total if total > 1 or done else None
            progress.update(tasks[stage], completed=done, total=known)

        yield advance


def _print_retrained(found: Retrained) -> None:
    """How it ended and what became of the mails; refusals are for standard error."""
    from training.report_retrain import by_fate, headline

    for note in found.notes:
        print(f"coop-train: {note}", file=sys.stderr)
    for outcome, reason, mails in by_fate(found.fates):
        print(f"{mails:6} {outcome}{f': {reason}' if reason else ''}")
    if found.trial:
        for check in found.trial.checks:
            print(f"{'passed' if check.passed else 'REFUSED'}: {check.about}. {check.told}")
    print(headline(found))
    for refusal in found.refusals:
        print(f"coop-train: refused: {refusal}", file=sys.stderr)


def publish(options: argparse.Namespace) -> None:
    from training.publish import publish

    publish(options.models, options.version, options.keep)
    print(f"current: {options.version}")


def rollback(options: argparse.Namespace) -> None:
    from training.publish import rollback

    print(f"current: {rollback(options.models)}")


def show_list(options: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from training.listing import listed

    table = Table()
    for name in ("bundle", "", "in use since (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("mails", "wanted called fake"):
        table.add_column(name, justify="right")
    bundles = listed(options.models)
    for one in bundles:
        wanted = f"{one.wanted[0]} of {one.wanted[1]}" if one.wanted else ""
        when = one.when[:16].replace("T", " ")
        state = f"{one.state} [red]unusable[/]".strip() if one.fault else one.state
        table.add_row(one.version, state, when, str(one.mails or ""), wanted)
    Console().print(table)
    for one in bundles:
        if one.fault:
            print(one.fault)

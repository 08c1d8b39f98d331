"""``coop-train``: one stage of learning a command; only this module prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from milter.errors import CoopError

if TYPE_CHECKING:
    from training.jobs import Jobs
    from training.plan import Row
    from training.retrain import Retrained

_ROOT = Path(__file__).resolve().parent
OK, MISSING, REFUSED, HELD_BACK = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every fault of ours is a line on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        status: int | None = options.run(options)
    except CoopError as error:
        for line in str(error).splitlines():
            print(f"coop-train: {line}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"coop-train: {error.filename}: {error.strerror}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 130
    return status or OK


#: argparse has no public name for what ``add_subparsers`` gives.
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coop-train", description="Fits and publishes the models of coop-verdict."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_learning(commands)
    _add_measuring(commands)
    _add_bundles(commands)
    return parser


def _add_learning(commands: _Commands) -> None:
    """What learns, and what it learns from."""
    corpus = commands.add_parser("corpus", help="count the corpus against its plan, and check it")
    _add_corpus(corpus)
    corpus.set_defaults(run=_corpus)

    fit = commands.add_parser("fit", help="learn from the corpus and write a model bundle")
    _add_corpus(fit)
    _add_models(fit)
    _add_jobs(fit)
    fit.set_defaults(run=_fit)

    retrain = commands.add_parser(
        "retrain",
        help="learn from the owner's feedback folders, and publish what is no worse",
        description="Collects the feedback, fits a candidate on it and the corpus, compares it "
        "with the model in use, and publishes it unless the gate refuses it (status 3; the old "
        "model stays). Every mail gets a receipt.",
    )
    _add_retrain(retrain)
    retrain.set_defaults(run=_retrain)


def _add_measuring(commands: _Commands) -> None:
    """What tells how good a model is."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure the model in use on labelled mails, or the learner on the corpus",
        description="Without a source: judges each mail of the corpus by a model that saw none of "
        "its theme. With sources: judges their mails by the model in use.",
    )
    _add_sources(evaluate)
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write all figures")
    evaluate.add_argument(
        "--page", metavar="FILE", type=Path, help="write an HTML page with curves"
    )
    evaluate.add_argument(
        "--list-errors", metavar="N", type=int, default=0, help="name the N worst of each set"
    )
    evaluate.set_defaults(run=_evaluate)

    evasions = commands.add_parser(
        "evasions",
        help="measure recall of fakes that are changed as senders do to slip through",
        description="Without a source: judges the fakes of the corpus by models that saw none of "
        "their themes. With sources: judges theirs by the model in use.",
    )
    _add_sources(evasions)
    evasions.add_argument("--json", metavar="FILE", type=Path, help="write the table for card")
    evasions.set_defaults(run=_evasions)

    card = commands.add_parser("card", help="write the model card from figures")
    card.add_argument(
        "--figures", metavar="FILE", type=Path, nargs="+", required=True, help="evaluate --json"
    )
    card.add_argument("--evasions", metavar="FILE", type=Path, help="recall under evasions (JSON)")
    _add_models(card)
    card.add_argument(
        "--model", metavar="VERSION", default="current", help="whose (default: current)"
    )
    card.add_argument("--out", metavar="FILE", type=Path, help="default: README.md of the bundles")
    card.set_defaults(run=_card)


def _add_bundles(commands: _Commands) -> None:
    """What chooses the model in use."""
    publish = commands.add_parser("publish", help="make a bundle the current one")
    publish.add_argument("version", help="its version: the name of its folder")
    _add_models(publish)
    publish.add_argument(
        "--keep",
        metavar="N",
        type=int,
        default=10,
        help="how many others stay, the newest (default: 10); the one in use before always does",
    )
    publish.set_defaults(run=_publish)

    rollback = commands.add_parser("rollback", help="make the bundle current that was it before")
    _add_models(rollback)
    rollback.set_defaults(run=_rollback)

    listing = commands.add_parser("list", help="show the bundles, and which one is current")
    _add_models(listing)
    listing.set_defaults(run=_list)


def _add_sources(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="a folder of label/language/*.eml, a .jsonl file (label, subject, body) or LABEL=PATH",
    )
    _add_corpus(parser)
    _add_models(parser)
    parser.add_argument("--model", metavar="VERSION", help="judge by this one (default: current)")
    _add_jobs(parser)


def _add_retrain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--feedback",
        metavar="DIR",
        type=Path,
        nargs="+",
        action="extend",
        required=True,
        help="folders of mails: a Maildir with subfolders, mbox or .eml files, also by user",
    )
    _add_models(parser)
    _add_corpus(parser)
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="TOML file whose table [feedback] has settings"
    )
    parser.add_argument(
        "--if-changed", action="store_true", help="do nothing if nothing has changed since"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also learn as fake what is of several parties or from an own domain",
    )
    _add_jobs(parser)
    parser.add_argument(
        "--cluster", metavar="URL", help="work on this Dask cluster (tcp://scheduler:8786)"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write an HTML page")


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus", metavar="DIR", type=Path, default=_ROOT / "corpus", help="labelled mails"
    )


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs", metavar="N", type=int, default=-1, help="processes (default: cores)"
    )


def _add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models",
        metavar="DIR",
        type=Path,
        default=_ROOT.parent / "models",
        help="the folder of the bundles",
    )


def _corpus(options: argparse.Namespace) -> int:
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


def _fit(options: argparse.Namespace) -> None:
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


def _evaluate(options: argparse.Namespace) -> None:
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


def _evasions(options: argparse.Namespace) -> None:
    from training.data import read_corpus
    from training.evaluate.evasions import Wanted, of_folds, of_sources

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


def _card(options: argparse.Namespace) -> None:
    from training.evaluate.card import card, read_reports

    reports = read_reports(options.figures)
    text = card(options.models, options.model, reports, options.evasions)
    out = options.out or options.models / "README.md"
    out.write_text(text, encoding="utf-8")
    print(f"written: {out}")


def _retrain(options: argparse.Namespace) -> int:
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
    if options.report:
        from training.report_retrain import page

        options.report.write_text(page(found), encoding="utf-8")
    return HELD_BACK if found.refusals else OK


@contextmanager
def _jobs(options: argparse.Namespace) -> Iterator[Jobs]:
    """Processes of this machine, or the cluster that was named."""
    if not options.cluster:
        yield options.jobs
        return
    from training.jobs import open_cluster

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


def _publish(options: argparse.Namespace) -> None:
    from training.publish import publish

    publish(options.models, options.version, options.keep)
    print(f"current: {options.version}")


def _rollback(options: argparse.Namespace) -> None:
    from training.publish import rollback

    print(f"current: {rollback(options.models)}")


def _list(options: argparse.Namespace) -> None:
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

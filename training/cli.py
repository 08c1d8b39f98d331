"""``coop-train``: one stage of learning a command; only this module prints."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from milter.errors import CoopError

_ROOT = Path(__file__).resolve().parent
OK, REFUSED = 0, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every fault of ours is a line on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except CoopError as error:
        for line in str(error).splitlines():
            print(f"coop-train: {line}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"coop-train: {error.filename}: {error.strerror}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return 130
    return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coop-train", description="Fits and publishes the models of coop-verdict."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="learn from the corpus and write a model bundle")
    _add_corpus(fit)
    _add_models(fit)
    _add_jobs(fit)
    fit.set_defaults(run=_fit)

    evaluate = commands.add_parser(
        "evaluate",
        help="measure the model in use on labelled mails, or the learner on the corpus",
        description="Without a source: judges each mail of the corpus by a model that saw none of "
        "its theme. With sources: judges their mails by the model in use.",
    )
    evaluate.add_argument(
        "sources",
        metavar="SOURCE",
        nargs="*",
        help="a folder of label/language/*.eml, a .jsonl file (label, subject, body) or LABEL=PATH",
    )
    _add_corpus(evaluate)
    _add_models(evaluate)
    evaluate.add_argument("--model", metavar="VERSION", help="judge by this one (default: current)")
    _add_jobs(evaluate)
    evaluate.add_argument("--json", metavar="FILE", type=Path, help="write all figures")
    evaluate.add_argument(
        "--page", metavar="FILE", type=Path, help="write an HTML page with curves"
    )
    evaluate.add_argument(
        "--list-errors", metavar="N", type=int, default=0, help="name the N worst of each set"
    )
    evaluate.set_defaults(run=_evaluate)

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

    publish = commands.add_parser("publish", help="make a bundle the current one")
    publish.add_argument("version", help="its version: the name of its folder")
    _add_models(publish)
    publish.set_defaults(run=_publish)
    return parser


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
    from rich.console import Console
    from rich.progress import Progress

    from milter.spam.bundle import open_models
    from training.evaluate.report import of_sources

    bundle = open_models(options.models, options.model or "current")
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("judging mails", total=None)

        def advance(done: int) -> None:
            progress.update(task, completed=done, description=f"judging mails: {done}")

        return of_sources(options.sources, bundle, options.list_errors, advance)


def _judged_by_folds(options: argparse.Namespace) -> dict[str, Any]:
    from training.data import read_corpus
    from training.evaluate.report import of_folds
    from training.fit import FitSettings, fit

    if options.model:
        raise CoopError("--model needs sources: without any, models are fitted anew for the corpus")
    settings = FitSettings()
    examples = read_corpus(options.corpus)
    fitted = fit(examples, settings, options.jobs)
    name = options.corpus.resolve().name
    return of_folds(name, examples, fitted, settings, options.list_errors)


def _card(options: argparse.Namespace) -> None:
    from training.evaluate.card import card, read_reports

    reports = read_reports(options.figures)
    text = card(options.models, options.model, reports, options.evasions)
    out = options.out or options.models / "README.md"
    out.write_text(text, encoding="utf-8")
    print(f"written: {out}")


def _publish(options: argparse.Namespace) -> None:
    from training.publish import publish

    publish(options.models, options.version)
    print(f"current: {options.version}")

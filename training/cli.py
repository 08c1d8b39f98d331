"""``coop-train``: what can be asked of it, and how a fault is told. ``commands`` does the work."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from milter.errors import CoopError
from training import commands as do

_ROOT = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every fault of ours is a line on standard error, never a traceback."""
    options = _parser().parse_args(arguments)
    try:
        status: int | None = options.run(options)
    except CoopError as error:
        for line in str(error).splitlines():
            print(f"coop-train: {line}", file=sys.stderr)
        return do.REFUSED
    except OSError as error:
        print(f"coop-train: {error.filename}: {error.strerror}", file=sys.stderr)
        return do.REFUSED
    except KeyboardInterrupt:
        return 130
    return status or do.OK


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
    corpus.set_defaults(run=do.corpus)

    fit = commands.add_parser("fit", help="learn from the corpus and write a model bundle")
    _add_corpus(fit)
    _add_models(fit)
    _add_jobs(fit)
    fit.set_defaults(run=do.fit)

    retrain = commands.add_parser(
        "retrain",
        help="learn from the owner's feedback folders, and publish what is no worse",
        description="Collects the feedback, fits a candidate on it and the corpus, compares it "
        "with the model in use, and publishes it unless the gate refuses it (status 3; the old "
        "model stays). Every mail gets a receipt.",
    )
    _add_retrain(retrain)
    retrain.set_defaults(run=do.retrain)

    config = commands.add_parser("config", help="print the settings of feedback, with defaults")
    config.set_defaults(run=do.config)


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
    evaluate.set_defaults(run=do.evaluate)

    evasions = commands.add_parser(
        "evasions",
        help="measure recall of fakes that are changed as senders do to slip through",
        description="Without a source: judges the fakes of the corpus by models that saw none of "
        "their themes. With sources: judges theirs by the model in use.",
    )
    _add_sources(evasions)
    evasions.add_argument("--json", metavar="FILE", type=Path, help="write the table for card")
    evasions.set_defaults(run=do.evasions)

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
    card.set_defaults(run=do.card)


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
        help="how many others stay, the newest (default: 10); the one in use before always "
        'does, and so does one with a file "keep" in its folder',
    )
    publish.set_defaults(run=do.publish)

    rollback = commands.add_parser("rollback", help="make the bundle current that was it before")
    _add_models(rollback)
    rollback.set_defaults(run=do.rollback)

    listing = commands.add_parser("list", help="show the bundles, and which one is current")
    _add_models(listing)
    listing.set_defaults(run=do.show_list)


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

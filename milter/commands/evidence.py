"""``coop-verdict evidence``: measure the model in use on one's own wanted mail."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "evidence", help="measure how much of your own wanted mail is called fake"
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="+",
        help=".eml file, mbox, Maildir or folder with wanted mail only, or -",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="the filter's settings (TOML)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from milter import cli
    from milter.config import load
    from milter.evidence import Evidence, standing, store
    from milter.measure import lines, measure
    from milter.report import printable
    from milter.spam.bundle import open_models

    settings = load(options.config)
    bundle = open_models(settings.model.folder, settings.model.version)
    found = measure(options.paths, bundle, settings.limits.judging)
    for source, fault in found.faults:
        print(f"coop-verdict: {printable(source)}: {fault}", file=sys.stderr)
    if not found.called_fake:
        print("coop-verdict: no mail had enough text; nothing was measured", file=sys.stderr)
        return cli.INCOMPLETE
    calls = found.called_fake.values()
    evidence = Evidence(bundle.version, len(calls), sum(calls), round(time.time(), 3))
    store(settings.journal.folder, evidence)
    print("\n".join(lines(found, evidence, standing(settings, bundle.version))))
    return cli.INCOMPLETE if found.faults else cli.OK

"""``coop-verdict shadow-report``: what would have happened to the mail of the last days."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milter.config import Settings

_DAY = 86400


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "shadow-report", help="what the filter did, or in shadow mode would have done"
    )
    parser.add_argument(
        "--days", metavar="N", type=_count, default=7, help="how far back (default: 7 days)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the filter's settings (TOML)")
    parser.set_defaults(run=_run)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 36500):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to 36500")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from milter import cli, seen
    from milter.config import load
    from milter.evidence import standing
    from milter.shadow import as_json, as_text, summary
    from milter.spam.bundle import open_models

    settings = load(options.config)
    current = open_models(settings.model.folder, settings.model.version)
    since = round(time.time() - options.days * _DAY, 3)
    since = max(since, seen.oldest(settings.journal.folder) or since)  # it holds no more
    passages = seen.recent(settings.journal.folder, since)
    report = summary(passages, _thresholds(settings, current.thresholds.fake), since)
    show = as_json if options.json else as_text
    print(show(settings, report, standing(settings, current.version)).rstrip())
    return cli.OK


def _thresholds(settings: Settings, current: float) -> Callable[[str], float]:
    """The threshold of fake by a model's version: that of the ``current`` one for models of which
    the bundle is gone."""
    from milter.errors import BundleError
    from milter.spam.bundle import open_models

    known: dict[str, float] = {}

    def threshold(version: str) -> float:
        if version not in known:
            try:
                known[version] = open_models(settings.model.folder, version).thresholds.fake
            except BundleError:
                known[version] = current
        return known[version]

    return threshold

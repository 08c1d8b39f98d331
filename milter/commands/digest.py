"""``coop-verdict digest``: tell recipients what was held, once a day, by a timer."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milter.config import Settings
    from milter.digest.memory import Memory
    from milter.digest.send import Due, Form, Outcome
    from milter.quarantine.store import Quarantine


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("digest", help="mail recipients what was held (by a timer)")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say who would get one, if enabled or not"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="the filter's settings (TOML)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from milter import cli
    from milter.config import load
    from milter.digest.memory import Memory
    from milter.digest.send import Form

    settings = load(options.config)
    if not (settings.digest.enabled or options.dry_run):
        print("No digest is sent: [digest] enabled is false.")
        return cli.OK
    form, memory, now = Form.of(settings), Memory(settings.review.state), time.time()
    if options.dry_run:  # makes no folder: root may ask, and the filter's user has to write there
        return _tell(_due(settings, memory, now))
    with memory.alone():
        return _report(_send(settings, _due(settings, memory, now), form, memory, now))


def _due(settings: Settings, memory: Memory, now: float) -> list[Due]:
    from milter.digest.send import due

    quarantine = _quarantine(settings)
    return due(quarantine, memory, now) if quarantine else []


def _quarantine(settings: Settings) -> Quarantine | None:
    """The quarantine as its files are now; None where nothing was ever held."""
    from milter.quarantine.store import Quarantine

    if not settings.quarantine.folder.is_dir():
        return None
    quarantine = Quarantine(settings.quarantine.folder, settings.quarantine.group)
    quarantine.prepare()
    quarantine.reconcile()
    return quarantine


def _send(settings: Settings, dues: list[Due], form: Form, memory: Memory, now: float) -> Outcome:
    import asyncio

    from milter.digest.links import Links
    from milter.digest.send import send
    from milter.hops import next_hop_for

    links = Links.kept_in(settings.review.state)
    return asyncio.run(send(dues, form, links, memory, next_hop_for(settings), now))


def _tell(dues: list[Due]) -> int:
    from milter import cli
    from milter.report import printable

    for one in dues:
        print(f"{printable(one.recipient)}: {one.count:,} newly held")
    print(f"{len(dues):,} digest{'s' if len(dues) != 1 else ''} would be sent.")
    return cli.OK


def _report(outcome: Outcome) -> int:
    """No full address: what a timer's command says ends up in a log."""
    from milter import cli

    print(f"{outcome.sent} digests sent.")
    for recipient, reason in outcome.failed:
        domain = recipient.rpartition("@")[2]
        print(
            f"coop-verdict: a digest to somebody at {domain!a} was not sent and is tried at the "
            f"next run: {reason}",
            file=sys.stderr,
        )
    return cli.INCOMPLETE if outcome.failed else cli.OK

"""``coop-verdict quarantine``: list, show, release, delete and expire held mail."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from milter.errors import CoopError, NextHopError, QuarantineError

if TYPE_CHECKING:
    from milter.config import Settings
    from milter.quarantine.item import State
    from milter.quarantine.store import Quarantine, Query

# The closed lists, here for the parser: what they are the words of is imported when a command runs.
_STATES = "held deferred releasing sent-dot released deleted expired gone".split()
_VERDICTS = "fake genuine none unsure unscored".split()
_LABELS = "fake genuine none".split()
_SORTS = "time score sender subject".split()
_SPANS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_COMPLETED = 500  # ids offered to a shell


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    parser = commands.add_parser("quarantine", help="list, show, release or delete held mail")
    deeds = parser.add_subparsers(required=True, metavar="DEED")

    listing = _deed(deeds, "list", "what is held, the latest first", _list)
    listing.add_argument("words", metavar="WORD", nargs="*", help="in subject, author, sender, ...")
    _add_filters(listing)
    listing.add_argument("--sort", choices=_SORTS, default="time")
    listing.add_argument("--ascending", action="store_true", help="the oldest, lowest, ... first")
    listing.add_argument("--limit", metavar="N", type=_number, default=50, help="default: 50")
    listing.add_argument("--offset", metavar="N", type=_number, default=0)

    show = _deed(deeds, "show", "all that is known of some mails", _show)
    _add_ids(show, "+")
    show.add_argument("--raw", action="store_true", help="the mail's octets, as it is stored")

    release = _deed(deeds, "release", "send mails on to their recipients", _release)
    release.add_argument(
        "--as", dest="label", choices=_LABELS, help="file it as feedback, too: what it really is"
    )
    delete = _deed(deeds, "delete", "delete mails", _delete)
    for many in (release, delete):
        _add_ids(many, "*")
        many.add_argument("--all", action="store_true", help="all that the filters leave")
        many.add_argument("--yes", action="store_true", help="with --all: do it")
        many.add_argument("--words", metavar="WORDS", default="", help="in subject, author, ...")
        _add_filters(many)

    expire = _deed(deeds, "expire", "delete what is too old", _expire)
    expire.add_argument("--days", metavar="N", type=_number, help="default: [quarantine] days")


def _deed(
    deeds: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    about: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = deeds.add_parser(name, help=about)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the filter's settings (TOML)")
    parser.set_defaults(run=run)
    return parser


def _add_ids(parser: argparse.ArgumentParser, number: str) -> None:
    ids = parser.add_argument("ids", metavar="ID", nargs=number, help="as in the list")
    ids.completer = _completed  # type: ignore[attr-defined]  # argcomplete's way to be told


def _add_filters(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--recipient", metavar="ADDRESS", action="append", help="may be given several times")
    add("--since", metavar="WHEN", type=_when, help="2026-11-23, 2026-11-23T08:30, or 12h, 7d, 2w")
    add("--until", metavar="WHEN", type=_when, help="likewise; that moment is not included")
    add("--state", choices=_STATES, action="append", default=[], help="default: still there")
    add("--verdict", choices=_VERDICTS, action="append", default=[])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text[:9])


def _when(text: str) -> float:
    """A moment as Unix time: a date, date and time, or how long ago."""
    number, unit = text[:-1], text[-1:]
    if unit in _SPANS and number.isascii() and number.isdigit():
        return time.time() - int(number[:6]) * _SPANS[unit]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date (2026-11-23, 2026-11-23T08:30) and no time ago (12h, 7d, 2w)"
        ) from None


def _completed(prefix: str, parsed_args: argparse.Namespace, **_: object) -> dict[str, str]:
    """The ids that begin like this, each with what shells that can do so show beside it."""
    from milter.quarantine.store import Query
    from milter.report import printable

    # In the middle of a line that is being typed, there is no place for complaints.
    with suppress(CoopError, OSError):
        quarantine = _opened(parsed_args)[1]
        page = quarantine.find(Query(limit=_COMPLETED))
        found = [item for item in page.items if item.id.startswith(prefix)]
        return {item.id: printable(f"{item.recipient} {item.subject}") for item in found}
    return {}


def _opened(options: argparse.Namespace) -> tuple[Settings, Quarantine]:
    from milter.config import load
    from milter.quarantine.store import Quarantine

    settings = load(options.config)
    folder = settings.quarantine.folder
    if not folder.is_dir():
        raise QuarantineError(
            f"there is no quarantine in {folder.absolute()}: no filter with these settings has run "
            "there. Name the filter's settings with --config."
        )
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise QuarantineError(f"{folder}: held mail is for the filter's user, and root")
    return settings, Quarantine(folder, settings.quarantine.group)


def _query(options: argparse.Namespace, default: Sequence[State], words: str) -> Query:
    from milter.quarantine.item import State
    from milter.quarantine.store import Query
    from milter.smtp.command import Address

    recipients = None
    if options.recipient is not None:
        paths = [f"<{text.strip('<>')}>".encode(errors="replace") for text in options.recipient]
        recipients = [Address(path, b"").mailbox for path in paths]
    return Query(
        recipients=recipients,
        states=[State(word) for word in options.state] or default,
        verdicts=options.verdict,
        since=options.since,
        until=options.until,
        words=words,
        sort=getattr(options, "sort", "time"),
        ascending=getattr(options, "ascending", False),
        offset=getattr(options, "offset", 0),
        limit=getattr(options, "limit", sys.maxsize),
    )


def _list(options: argparse.Namespace) -> int:
    from milter import cli
    from milter.held import json_item, line
    from milter.quarantine.item import OPEN

    _, quarantine = _opened(options)
    page = quarantine.find(_query(options, OPEN, " ".join(options.words)))
    for item in page.items:
        print(json_item(item) if options.json else line(item))
    seen = options.offset + len(page.items)
    if page.total > seen and not options.json:
        print(f"{seen} of {page.total}; --offset {seen} goes on", file=sys.stderr)
    return cli.OK


def _show(options: argparse.Namespace) -> int:
    from milter.held import explained, json_item

    _, quarantine = _opened(options)

    def show(item: str) -> None:
        if options.raw:
            sys.stdout.flush()
            sys.stdout.buffer.write(quarantine.content(item))
            return
        found, events = quarantine.item(item), quarantine.history(item)
        if options.json:
            print(json_item(found, events))
        else:
            print(explained(found, events, quarantine.content(item) if found.open else b""))

    return _each(options.ids, show)


def _each(ids: Sequence[str], do: Callable[[str], None]) -> int:
    """Do it to each; a fault with one stops no other. The exit status."""
    from milter import cli

    status = cli.OK
    for item in ids:
        try:
            do(item)
        except QuarantineError as error:
            print(f"coop-verdict: {_named(item, error)}", file=sys.stderr)
            status = cli.INCOMPLETE
    return status


def _named(item: str, error: CoopError) -> str:
    """A fault, with the mail that it is about."""
    from milter.report import printable

    return str(error) if item in str(error) else f"held mail {printable(item[:40])}: {error}"


def _delete(options: argparse.Namespace) -> int:
    from milter.quarantine.item import State

    _, quarantine = _opened(options)
    chosen = _chosen(options, quarantine, [State.HELD], "deleted")

    def delete(item: str) -> None:
        quarantine.delete(item, _by())
        _did(options, item, "deleted")

    return _each(chosen, delete)


def _release(options: argparse.Namespace) -> int:
    import asyncio

    from milter.quarantine.item import State

    settings, quarantine = _opened(options)
    states = [State.HELD, State.RELEASING, State.SENT_DOT]
    chosen = _chosen(options, quarantine, states, "released")
    return asyncio.run(_released(options, settings, quarantine, chosen))


async def _released(
    options: argparse.Namespace, settings: Settings, quarantine: Quarantine, ids: Sequence[str]
) -> int:
    """Release one after the other, through one session; without a next hop the rest waits."""
    from milter import cli
    from milter.hops import next_hop_for
    from milter.letting_go import let_go

    next_hop = next_hop_for(settings)
    status = cli.OK
    try:
        for number, item in enumerate(ids, 1):
            try:
                if options.label:
                    _file(settings, quarantine, item, options.label)
                reply = await let_go(settings, quarantine, item, next_hop, _by())
            except QuarantineError as error:
                status = _fault(_named(item, error))
            except NextHopError as error:
                return _fault(f"{_named(item, error)}; {len(ids) - number} more not tried")
            else:
                _did(options, item, "released" if reply.positive else "refused", str(reply))
                status = status if reply.positive else cli.INCOMPLETE
    finally:
        await next_hop.close()
    return status


def _fault(text: str) -> int:
    from milter import cli

    print(f"coop-verdict: {text}", file=sys.stderr)
    return cli.INCOMPLETE


def _file(settings: Settings, quarantine: Quarantine, item: str, label: str) -> None:
    """File a mail as feedback, before it is released: then its octets are gone."""
    from milter.letting_go import file

    try:
        file(settings, quarantine, item, label)
    except OSError as error:
        folder = settings.review.feedback
        raise QuarantineError(
            f"{item} is not released: it cannot be filed in {folder}: {error.strerror}"
        ) from error


def _chosen(
    options: argparse.Namespace, quarantine: Quarantine, states: Sequence[State], deed: str
) -> Sequence[str]:
    """The ids that are given, or all that the filters leave; what was deferred only if named."""
    if bool(options.ids) == options.all:
        raise QuarantineError(f"name the mails to be {deed} by their ids, or all with --all")
    if options.ids:
        if options.words or any(_given(options)):
            raise QuarantineError("filters go with --all, and not with ids")
        return list(dict.fromkeys(options.ids))
    page = quarantine.find(_query(options, states, options.words))
    if not options.yes:
        raise QuarantineError(f"{page.total} mails would be {deed}: with --yes they are")
    return [item.id for item in page.items]


def _given(options: argparse.Namespace) -> Iterator[object]:
    return (options.__dict__[name] for name in "recipient since until state verdict".split())


def _by() -> str:
    """Who is at the keyboard, for the record."""
    with suppress(KeyError):  # a user id need not have a name
        return f"{os.environ.get('SUDO_USER') or pwd.getpwuid(os.getuid()).pw_name} (command)"
    return f"user {os.getuid()} (command)"


def _did(options: argparse.Namespace, item: str, what: str, reply: str = "") -> None:
    import json

    if options.json:
        print(json.dumps({"id": item, "done": what, "reply": reply}))
    else:
        print(f"{item}  {what}" + (f": {reply}" if reply else ""))


def _expire(options: argparse.Namespace) -> int:
    import json

    from milter import cli

    settings, quarantine = _opened(options)
    days = settings.quarantine.days if options.days is None else options.days
    count = quarantine.expire(time.time(), days)
    if options.json:
        print(json.dumps({"deleted": count, "days": days}))
    else:
        print(f"{count} mails deleted that were held for more than {days} days")
    return cli.OK

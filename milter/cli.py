"""``coop-verdict``: the commands. Each imports what it needs when it runs, so that none waits."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from milter.commands import completion, digest, evidence, quarantine, review, shadow
from milter.errors import CoopError

if TYPE_CHECKING:
    from milter.config import Settings
    from milter.why import Answer

#: Exit statuses: all well; something could not be read; the call or the settings are wrong.
OK, INCOMPLETE, REFUSED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every fault of ours is a line on standard error, never a traceback."""
    parser = _parser()
    completion.complete(parser)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except CoopError as error:
        for line in str(error).splitlines():
            print(f"coop-verdict: {line}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="coop-verdict",
        description="An SMTP proxy in front of Postfix that judges mail for fake-cooperation "
        "pitches and writes the verdict into X-Coop-Verdict.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the filter")
    serve.add_argument("--config", metavar="FILE", type=Path, help="settings (TOML)")
    serve.add_argument("--listen", metavar="HOST:PORT", help="where Postfix finds the filter")
    serve.add_argument(
        "--next-hop", metavar="HOST:PORT", help="where mail goes on to (default: a Maildir)"
    )
    serve.add_argument("--workers", metavar="N", type=int, help="processes (default: 1)")
    serve.set_defaults(run=_serve)

    check = commands.add_parser("check", help="judge mails in files, without changing them")
    check.add_argument(
        "paths", metavar="PATH", nargs="+", help=".eml file, mbox, Maildir, folder, or -"
    )
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--explain", action="store_true", help="asks, offers and clues, for people")
    check.add_argument("--config", metavar="FILE", type=Path, help="settings (TOML)")
    check.set_defaults(run=_check)

    why = commands.add_parser("why", help="what was done with one mail, and with its correction")
    mail = why.add_mutually_exclusive_group(required=True)
    mail.add_argument("message_id", metavar="MESSAGE-ID", nargs="?", help="as in the mail's header")
    mail.add_argument("--mail", metavar="FILE", help="a copy of the mail instead, or -")
    why.add_argument("--config", metavar="FILE", type=Path, help="the filter's settings (TOML)")
    why.set_defaults(run=_why)

    evidence.add_to(commands)
    shadow.add_to(commands)
    digest.add_to(commands)
    review.add_to(commands)
    quarantine.add_to(commands)
    completion.add_to(commands)

    config = commands.add_parser("config", help="print the settings with their defaults, explained")
    config.set_defaults(run=_config)
    return parser


def _serve(options: argparse.Namespace) -> int:
    # One thread of linear algebra: a mail's sums are too small for more, and workers are forked.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from milter.config import load
    from milter.journal import log_to_stderr
    from milter.server import Server

    given = {
        "listen": options.listen,
        "next_hop": options.next_hop,
        "workers": options.workers,
    }
    overrides = {"filter": {key: value for key, value in given.items() if value is not None}}
    settings = load(options.config, overrides)
    log_to_stderr(settings.log.level.upper())
    server = Server(settings)
    server.run(lambda: _say_ready(settings, server.model().version))
    return OK


def _say_ready(settings: Settings, model: str) -> None:
    """Tell the person who started it where things are, and how to try it."""
    listen = settings.filter.listen
    lines = [f"coop-verdict listens on {listen}, with model {model}."]
    if settings.filter.next_hop:
        lines.append(
            f"Judged mail goes on to {settings.filter.next_hop} ({settings.filter.arrangement})."
        )
    else:
        folder = settings.filter.maildir.absolute() / "new"
        lines.append(f"There is no mail server behind it: judged mail is stored in {folder}.")
    if not settings.filter.next_hop and not listen.path:
        lines += [
            "Send it a mail from another terminal:",
            f"  curl --url smtp://{listen} --mail-from a@example.org "
            "--mail-rcpt b@example.net --upload-file FILE.eml",
        ]
    lines.append("Stop it with Ctrl-C.")
    with suppress(OSError):  # nobody reads this any more: no reason to stop
        print("\n".join(lines), flush=True)


def _check(options: argparse.Namespace) -> int:
    from milter.check import check
    from milter.config import load
    from milter.report import explained, json_line, printable, text_line
    from milter.spam.bundle import open_models

    settings = load(options.config)
    bundle = open_models(settings.model.folder, settings.model.version)
    show = json_line if options.json else explained if options.explain else text_line
    status = OK
    for checked in check(options.paths, bundle, settings.limits.judging):
        print(show(checked))
        if checked.fault:
            status = INCOMPLETE
            print(f"coop-verdict: {printable(checked.source)}: {checked.fault}", file=sys.stderr)
    return status


def _why(options: argparse.Namespace) -> int:
    from milter import why
    from milter.config import load
    from milter.mail.folder import read_all
    from milter.report import printable

    settings = load(options.config)
    if options.mail is None:
        return _tell(why.by_message_id(settings, options.message_id))
    status = OK
    for found in read_all([options.mail]):
        if found.fault:
            status = INCOMPLETE
            print(f"coop-verdict: {printable(found.source)}: {found.fault}", file=sys.stderr)
        else:
            status |= _tell(why.by_copy(settings, found.source, found.content))
    return status


def _tell(answer: Answer) -> int:
    """Print what is known; it is incomplete where nothing is."""
    print("\n".join(answer.lines))
    return OK if answer.known else INCOMPLETE


def _config(options: argparse.Namespace) -> int:
    from milter.config import annotated

    print(annotated(), end="")
    return OK

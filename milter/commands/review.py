"""``coop-verdict review`` and ``review-user``. What the page needs is imported when it runs."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from milter.errors import StartError


def add_to(commands: Any) -> None:
    """Register the commands; ``commands`` is what ``add_subparsers`` gave."""
    review = commands.add_parser("review", help="the page on which held mail is looked at")
    _add_config(review)
    review.add_argument("--listen", metavar="HOST:PORT", help="where a browser finds it")
    review.set_defaults(run=_review)

    user = commands.add_parser("review-user", help="who may log in to the review page")
    verbs = user.add_subparsers(required=True, metavar="VERB")
    add = verbs.add_parser("add", help="add a user, or give one another password")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--admin", action="store_true", help="sees the mail of all recipients")
    add.add_argument(
        "--recipient",
        metavar="ADDRESS",
        nargs="+",
        action="extend",
        default=[],
        help="whose mail the user sees",
    )
    add.add_argument("--password-stdin", action="store_true", help="read the password from a pipe")
    _add_config(add)
    add.set_defaults(run=_add)
    remove = verbs.add_parser("remove", help="remove a user, and end their sessions")
    remove.add_argument("name", metavar="NAME")
    _add_config(remove)
    remove.set_defaults(run=_remove)
    listing = verbs.add_parser("list", help="who there is, and whose mail they see")
    _add_config(listing)
    listing.set_defaults(run=_list)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", type=Path, help="settings (TOML)")


def _review(options: argparse.Namespace) -> int:
    import logging

    from milter.config import load

    given = {"listen": options.listen} if options.listen is not None else {}
    settings = load(options.config, {"review": given})
    logging.basicConfig(
        level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    with _told_what_is_missing():
        from milter.review.serve import run
    run(settings)
    return 0


@contextmanager
def _told_what_is_missing() -> Iterator[None]:
    """A library that is not there is told in words."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise StartError(
            f"the review page needs {error.name}, which is not installed: pip install "
            "'coop-verdict[review]'"
        ) from error


def _add(options: argparse.Namespace) -> int:
    from milter.config import load
    from milter.review.users import User, Users, plain_name, plain_recipient

    with _told_what_is_missing():
        from milter.review.passwords import hashed

    state = load(options.config).review.state
    name = plain_name(options.name)
    recipients = sorted({plain_recipient(given) for given in options.recipient})
    if not options.admin and not recipients:
        raise StartError(
            "a user who is no admin sees the mail of some recipients: name them with --recipient"
        )
    users = Users(state)
    before = users.get(name)
    users.put(User(name, hashed(_password(options)), options.admin, tuple(recipients)))
    print(f"{name}: {'changed; all sessions have ended' if before else 'added'}")
    return 0


def _remove(options: argparse.Namespace) -> int:
    from milter.config import load
    from milter.review.users import Users, plain_name

    name = plain_name(options.name)
    if not Users(load(options.config).review.state).remove(name):
        raise StartError(f"there is no user {name}; coop-verdict review-user list shows who is")
    print(f"{name}: removed")
    return 0


def _list(options: argparse.Namespace) -> int:
    from milter.config import load
    from milter.review.users import Users

    for name, user in sorted(Users(load(options.config).review.state).all().items()):
        print(f"{name}: {'all mail' if user.admin else ', '.join(user.recipients)}")
    return 0


def _password(options: argparse.Namespace) -> str:
    """A password from the pipe or a prompt. Raises ``StartError`` for one that is none."""
    from milter.review.users import LONGEST, SHORTEST

    if options.password_stdin:
        password = sys.stdin.readline().removesuffix("\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise StartError("these were two passwords; nothing was changed")
    if not SHORTEST <= len(password) <= LONGEST:
        raise StartError(f"a password has {SHORTEST} to {LONGEST} characters; nothing was changed")
    return password

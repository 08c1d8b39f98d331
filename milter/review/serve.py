"""``coop-verdict review``: the page on its socket, until it is stopped."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, suppress
from pathlib import Path

import uvicorn

from milter.config import Settings
from milter.listeners import listen
from milter.review.app import build
from milter.review.passwords import hashed
from milter.review.users import FIRST, User, Users, new_password
from milter.sections import Review

# Requests at a time; more are answered 503. Each may hold a mail of megabytes.
_AT_A_TIME = 64
# Seconds that answers under way may take when the page is stopped.
_DRAIN = 10
# Who may reach the page through a Unix socket: a web server that is a member of its group.
_SOCKET_MODE = 0o660


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises ``CoopError`` where the page cannot start."""
    review = settings.review
    app = build(settings)
    with ExitStack() as opened, suppress(KeyboardInterrupt):  # all is stopped in order by then
        sockets = [opened.enter_context(listener) for listener in listen(review.listen)]
        if review.listen.path:
            Path(review.listen.path).chmod(_SOCKET_MODE)
        config = uvicorn.Config(
            app,
            log_config=None,  # the log is set up already
            access_log=False,  # addresses name mails
            server_header=False,
            ws="none",
            limit_concurrency=_AT_A_TIME,
            timeout_graceful_shutdown=_DRAIN,
            proxy_headers=False,  # which of them to believe is ours to know (Visit.address)
        )
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        _say_ready(review, _first_password(review.state))
        asyncio.run(uvicorn.Server(config).serve(sockets=sockets))


def _first_password(state: Path) -> str:
    """The password of the admin that is made where there is no user yet; empty where there is."""
    users = Users(state)
    if users.all():
        return ""
    password = new_password()
    return password if users.add_first(User(FIRST, hashed(password), admin=True)) else ""


def _say_ready(review: Review, password: str) -> None:
    """Tell the person who started it where the page is."""
    url = review.url or f"http://{review.listen}"
    lines = [f"The review page is at {url}"]
    if password:
        lines.append(f"Log in as {FIRST} with the password {password} (told this once).")
        lines.append(f"Another one: coop-verdict review-user add {FIRST} --admin")
    with suppress(OSError):  # nobody reads this any more: no reason to stop
        print("\n".join(lines), flush=True)

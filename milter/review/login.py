"""Logging in and out."""

from __future__ import annotations

import logging
import math

from starlette.responses import Response

from milter.errors import StartError
from milter.review.doors import onward
from milter.review.users import plain_name
from milter.review.visit import Visit

log = logging.getLogger(__name__)


async def form(visit: Visit) -> Response:
    """The form; who is logged in needs none."""
    if visit.user:
        return visit.go("/")
    return _form(visit, onward(visit.request.query_params.get("next", "")))


async def enter(visit: Visit) -> Response:
    """Check name and password; a new session, whatever there was before."""
    desk, path = visit.desk, onward(visit.form.get("next"))
    name = _plain(visit.form.get("name"))
    if wait := desk.attempts.begin(name, visit.address):
        seconds = math.ceil(wait)
        response = _form(visit, path, 429, visit.t.count("login.wait", seconds))
        response.headers["retry-after"] = str(seconds)
        return response
    user = desk.users.get(name)
    if not await desk.passwords.holds(user, visit.form.get("password")) or not user:
        log.warning("a login failed, from %s", visit.address or "a local client")
        return _form(visit, path, 401, visit.t("login.failed"))
    desk.attempts.succeeded(name, visit.address)
    desk.sessions.close(visit.request.cookies.get(visit.cookie("coop"), ""))
    response = visit.go(path)
    lifetime = int(desk.settings.review.session)
    visit.set_cookie(response, "coop", desk.sessions.open(user), lifetime)
    return response


async def leave(visit: Visit) -> Response:
    """End the session."""
    visit.desk.sessions.close(visit.request.cookies.get(visit.cookie("coop"), ""))
    response = visit.go("/login")
    visit.set_cookie(response, "coop", "", 0)
    return response


def _form(visit: Visit, path: str, status: int = 200, fault: str = "") -> Response:
    return visit.page("login.html", status, next=path, fault=fault)


def _plain(given: str) -> str:
    """The name as users are kept; one that cannot be one is nobody's, and takes as long."""
    try:
        return plain_name(given)
    except StartError:
        return ""

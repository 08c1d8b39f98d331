"""Who gets in where: each route is behind one of these doors, and none is beside them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from milter.review import forms
from milter.review.faults import Refused
from milter.review.visit import Visit

Handler = Callable[[Visit], Awaitable[Response]]
_Endpoint = Callable[[Request], Awaitable[Response]]

# Pages that one may be sent on to after the login; anything else is the first page.
_ONWARD = re.compile(r"/(?:passed|overview|model|mail/[0-9a-f]{16})?")


def anybody(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    """A route for everybody."""
    return Route(path, _endpoint(handler, lambda visit: None), methods=list(methods))


def users(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    """A route for those who are logged in; others are asked to do so."""
    return Route(path, _endpoint(handler, _sent_to_login), methods=list(methods))


def admins(path: str, handler: Handler, methods: Sequence[str] = ("GET",)) -> Route:
    """A route for admins; for other users it is not there."""
    return Route(path, _endpoint(handler, _no_admin), methods=list(methods))


def onward(path: str) -> str:
    """A page to go on to that somebody named, or else the first one."""
    return path if _ONWARD.fullmatch(path) else "/"


def _endpoint(handler: Handler, door: Callable[[Visit], Response | None]) -> _Endpoint:
    async def endpoint(request: Request) -> Response:
        visit = Visit.of(request)
        if turned_away := door(visit):
            return turned_away
        if request.method == "POST":
            visit.form = await forms.read(visit)
        return await handler(visit)

    return endpoint


def _sent_to_login(visit: Visit) -> Response | None:
    if visit.user:
        return None
    path = visit.request.url.path if visit.request.method == "GET" else "/"
    path = onward(path.removeprefix(visit.desk.base) or "/")
    return visit.go("/login", {"next": path} if path != "/" else None)


def _no_admin(visit: Visit) -> Response | None:
    if visit.user and not visit.user.admin:
        raise Refused(404, "missing")
    return _sent_to_login(visit)

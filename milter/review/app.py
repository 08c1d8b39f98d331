"""The page as an application: its routes, each behind its door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from milter.config import Settings
from milter.errors import CoopError
from milter.review import actions, faults, held, links, login, model, overview, passed
from milter.review.desk import Desk
from milter.review.doors import admins, anybody, users
from milter.review.guard import Guard

_STATIC = Path(__file__).with_name("static")
_FAULTS = (HTTPException, faults.Refused, CoopError, OSError, Exception)


def build(settings: Settings) -> ASGIApp:
    """The application. Raises ``CoopError`` where something that it needs cannot be used."""
    return around(Desk.build(settings))


def around(desk: Desk) -> ASGIApp:
    """The application that works with ``desk``."""
    app = Starlette(
        routes=_routes(),
        lifespan=_lifespan,
        exception_handlers=dict.fromkeys(_FAULTS, faults.answer),
    )
    app.router.redirect_slashes = False  # they would name a host, by what a request says
    app.state.desk = desk
    return Guard(app, desk.settings.review)


def _routes() -> list[Route | Mount]:
    return [
        anybody("/login", login.form),
        anybody("/login", login.enter, ["POST"]),
        users("/logout", login.leave, ["POST"]),
        users("/", held.listed),
        users("/held", actions.ticked, ["POST"]),
        users("/mail/{id}", held.shown),
        users("/mail/{id}", actions.one, ["POST"]),
        users("/passed", passed.listed),
        users("/overview", overview.show),
        admins("/model", model.show),
        admins("/model/report", model.report),
        admins("/model/rollback", model.ask),
        admins("/model/rollback", model.roll_back, ["POST"]),
        anybody("/link/{token}", links.ask),
        anybody("/link/{token}", links.release, ["POST"]),
        Mount("/static", _Files(directory=_STATIC)),
    ]


class _Files(StaticFiles):
    """Our own files: kept by the browser, and asked for again each time whether they changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep up with the published model while the page is up."""
    watching = asyncio.create_task(app.state.desk.model.watch())
    try:
        yield
    finally:
        watching.cancel()

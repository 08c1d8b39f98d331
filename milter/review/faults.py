"""What went wrong, as a page in plain words: a status and a passage of ``texts`` for each."""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from milter.errors import Busy, CoopError, NextHopError, NotHeld

log = logging.getLogger(__name__)

# What writing fails with where there is no more room.
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Refused(Exception):
    """A request that is not answered as asked. ``name``: its passage under ``error`` in texts."""

    def __init__(self, status: int, name: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(name)
        self.status, self.name, self.headers = status, name, headers or {}


def refusal(error: Exception) -> Refused:
    """The refusal that stands for any exception; those of ours nobody foresaw are logged."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, HTTPException):
        name = {404: "missing", 405: "method"}.get(error.status_code, "other")
        return Refused(error.status_code, name, dict(error.headers or {}))
    if isinstance(error, NotHeld):
        return Refused(404, "missing")
    if isinstance(error, Busy):
        return Refused(409, "busy")
    if isinstance(error, NextHopError):
        log.warning("release: %s", error)
        return Refused(502, "next_hop")
    cause = error.__cause__ if isinstance(error, CoopError) else error
    if isinstance(cause, OSError) and cause.errno in _FULL:
        log.error("no room on the disk: %s", error)
        return Refused(507, "full")
    if isinstance(error, CoopError | OSError):
        log.error("%s", error)
        return Refused(503, "unusable")
    log.error("a page failed", exc_info=error)
    return Refused(500, "ours")


async def answer(request: Request, error: Exception) -> Response:
    """The page of a fault. Without a template where even that cannot be made."""
    from milter.review.visit import Visit

    refused = refusal(error)
    try:
        response = Visit.of(request).page("error.html", refused.status, name=refused.name)
    except Exception:
        log.exception("no page for an error")
        phrase = HTTPStatus(refused.status).phrase
        response = PlainTextResponse(f"{refused.status} {phrase}\n", refused.status)
    response.headers.update(refused.headers)
    return response

"""What a browser posts: read under a limit, and refused unless it comes from one of our forms."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from milter.review.faults import Refused
from milter.review.sessions import same

if TYPE_CHECKING:
    from milter.review.visit import Visit

# A page of ticked mails is some kilobytes.
_MAX_BODY = 64 << 10
_MAX_FIELDS = 300
# Seconds for all of it. It comes in one piece, but from who wants to keep others out.
_PATIENCE = 20.0
_URLENCODED = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields in their order."""

    fields: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The first value of a field; empty where there is none."""
        return next(iter(self.all(name)), "")

    def all(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for key, value in self.fields if key == name]


async def read(visit: Visit) -> Form:
    """The form that was posted. Raises ``Refused``."""
    request = visit.request
    if not _is_from_here(request):
        raise Refused(403, "foreign")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _URLENCODED:
        raise Refused(415, "kind")
    form = _parsed(await _in_time(request))
    if not same(form.get("csrf"), visit.csrf):
        raise Refused(403, "token")
    return form


def _is_from_here(request: Request) -> bool:
    """Whether one of our own pages posts this, as far as the browser says.

    Where it says nothing (old ones; ``Origin: null`` is what ours send, because of their referrer
    policy), the form's token decides alone.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "null")
    if origin == "null":
        return True
    try:
        return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
    except ValueError:
        return False


async def _in_time(request: Request) -> bytes:
    """The body. Raises ``Refused``, also for who is gone and will not read it."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await _body(request)
    except TimeoutError as error:
        raise Refused(408, "form") from error
    except ClientDisconnect as error:
        raise Refused(400, "form") from error


async def _body(request: Request) -> bytes:
    octets = bytearray()
    async for piece in request.stream():
        octets += piece
        if len(octets) > _MAX_BODY:
            raise Refused(413, "large")
    return bytes(octets)


def _parsed(body: bytes) -> Form:
    try:
        text = body.decode("ascii")
        return Form(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise Refused(400, "form") from error

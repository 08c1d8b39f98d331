"""What stands before every answer: which hosts the page is, and the headers that shut it in.

Around the whole application, so that an error page of any kind has the headers, too.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from milter.sections import Review

# Everything comes from here, nothing runs that stands in a page, and no page can be framed.
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
#: For a document that brings styles of its own: nothing runs in it, whatever it holds.
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_WRONG_HOST = (
    "This is not the address of the page. Its administrator says which one is: [review] url.\n"
    "Das ist nicht die Adresse der Seite. Welche es ist, legt [review] url fest.\n"
)


class Guard:
    """Checks Host, takes the path of [review] url off, and adds the headers."""

    def __init__(self, app: ASGIApp, review: Review) -> None:
        self._app = app
        self._hosts, self._any_address = _hosts(review)
        self._base = base_of(review)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app if self._is_here(scope) else PlainTextResponse(_WRONG_HOST, 421)
        await app(_without(self._base, scope), receive, with_headers)

    def _is_here(self, scope: Scope) -> bool:
        """Whether Host names us: a name that somebody else made to point here does not."""
        given = Headers(scope=scope).getlist("host")
        host = _hostname(given[0]) if len(given) == 1 else ""
        return host in self._hosts or (self._any_address and _is_address(host))


def base_of(review: Review) -> str:
    """The path below which the page is, such as ``/review``; empty at the top of its host."""
    return urlsplit(review.url).path.rstrip("/")


def is_https(review: Review) -> bool:
    """Whether browsers see the page through TLS."""
    return urlsplit(review.url).scheme == "https"


def is_local(address: str) -> bool:
    """Whether a connection comes from this machine; one through a Unix socket has no address."""
    try:
        return not address or ip_address(address).is_loopback
    except ValueError:
        return False


def _hosts(review: Review) -> tuple[frozenset[str], bool]:
    """The names in Host that are ours, and whether any IP address is (listening on all of them)."""
    listen = review.listen.host.lower()
    named = {urlsplit(review.url).hostname or "", listen} - {""}
    local = _LOCAL if listen in _LOCAL or not listen else frozenset({"localhost"})
    return frozenset(named | local), listen in ("0.0.0.0", "::", "*")  # noqa: S104 - only compared


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _without(base: str, scope: Scope) -> Scope:
    """The scope with ``base`` off its path, where the web server left it on."""
    path = scope["path"]
    if not base or not (path == base or path.startswith(f"{base}/")):
        return scope
    return {**scope, "path": path.removeprefix(base) or "/"}

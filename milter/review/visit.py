"""One request: who asks, in which language, and how an answer is made for them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from milter.review import guard
from milter.review.desk import Desk
from milter.review.forms import Form
from milter.review.sessions import Note, Session, mark
from milter.review.texts import Texts, language_of, texts
from milter.review.users import User


@dataclass(slots=True)
class Visit:
    """``user`` and ``session`` are None for who is not logged in; ``form``: what was posted."""

    desk: Desk
    request: Request
    t: Texts
    user: User | None = None
    session: Session | None = None
    form: Form = field(default_factory=Form)
    _nonce: str = ""

    @classmethod
    def of(cls, request: Request) -> Visit:
        """Raises ``StartError`` where the users cannot be read."""
        desk: Desk = request.app.state.desk
        visit = cls(desk, request, texts(language_of(request.headers.get("accept-language", ""))))
        session = desk.sessions.find(request.cookies.get(visit.cookie("coop"), ""))
        user = desk.users.get(session.name) if session else None
        if session and user and session.mark == mark(user):
            visit.user, visit.session = user, session
        return visit

    @property
    def known(self) -> User:
        """The user, where the door has made sure that there is one."""
        assert self.user, "only those who are logged in get here"
        return self.user

    @property
    def address(self) -> str:
        """The client's, for counting its attempts; empty where nobody knows it.

        Behind a web server it is what that one has added to X-Forwarded-For, last of all: what
        stands before came from the client, who may say anything.
        """
        nearest = self.request.client.host if self.request.client else ""
        if not self.desk.settings.review.url or not guard.is_local(nearest):
            return nearest
        told = ",".join(self.request.headers.getlist("x-forwarded-for"))
        return told.rpartition(",")[2].strip()

    def cookie(self, name: str) -> str:
        """A cookie's name. ``__Host-``: nobody else may set it (RFC 6265bis 4.1.3.2)."""
        return f"__Host-{name}" if self.desk.https else name

    @property
    def csrf(self) -> str:
        """What a form must bring back: it is not in any cookie, and other sites cannot read it."""
        if self.session:
            return self.session.csrf
        nonce = self.request.cookies.get(self.cookie("coop-visit"), "") or self._nonce
        if not nonce:
            nonce = self._nonce = secrets.token_urlsafe(24)
        return hmac.new(self.desk.key, nonce.encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def tell(self, kind: str, text: str, *details: str) -> None:
        """Say something on the user's next page."""
        if self.session:
            self.session.tell(Note(kind, text, details))

    def link(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """The address of one of our pages."""
        return f"{self.desk.base}{path}{f'?{urlencode(query)}' if query else ''}"

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """A page from its template."""
        notes = self.session.told() if self.session else []
        html = self.desk.templates.get_template(template).render(
            t=self.t, visit=self, user=self.user, link=self.link, notes=notes, **values
        )
        headers = {"content-language": self.t.language, "vary": "Accept-Language, Cookie"}
        response = HTMLResponse(html, status, headers)
        if self._nonce:
            self.set_cookie(response, "coop-visit", self._nonce)
        return response

    def go(self, path: str, query: Mapping[str, object] | None = None) -> Response:
        """On to another of our pages, with GET."""
        return RedirectResponse(self.link(path, query), 303)

    def set_cookie(
        self, response: Response, name: str, value: str, lifetime: int | None = None
    ) -> None:
        """Give the browser a cookie that no script and no other site gets."""
        response.set_cookie(
            self.cookie(name),
            value,
            max_age=lifetime,
            secure=self.desk.https,
            httponly=True,
            samesite="strict",
        )

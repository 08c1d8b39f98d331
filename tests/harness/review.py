"""The review page without a browser: users, held mails, and a client that fills in its forms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from starlette.testclient import TestClient

from milter.config import Settings, load
from milter.review.app import around
from milter.review.desk import Desk
from milter.review.users import User, Users
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.action import header_fields
from milter.spam.verdict import Judgement, Score, Verdict

PASSWORD = "written-for-this-test"  # noqa: S105 - opens a page that lives as long as the test
ANNA, BEN = "anna@example.org", "ben@example.org"
HOME = "http://127.0.0.1:10090"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_MODEL = "2026.11.20-aaaaaaa"


def settings_in(folder: Path, **sections: Mapping[str, object]) -> Settings:
    """Settings with everything below ``folder``; ``sections`` on top."""
    own: dict[str, dict[str, object]] = {
        "filter": {"maildir": str(folder / "mail")},
        "quarantine": {"folder": str(folder / "quarantine")},
        "review": {"state": str(folder / "review"), "feedback": str(folder / "feedback")},
        "journal": {"folder": str(folder / "index")},
    }
    for name, values in sections.items():
        own[name] = {**own.get(name, {}), **values}
    return load(None, own)


def desk_in(folder: Path, **sections: Mapping[str, object]) -> Desk:
    """A desk with an admin, boss, and the users anna and ben, who see their own mail."""
    from milter import maildir

    desk = Desk.build(settings_in(folder, **sections))
    maildir.prepare(desk.settings.filter.maildir)
    users = Users(desk.settings.review.state)
    users.put(User("boss", _hash(), admin=True))
    users.put(User("anna", _hash(), recipients=(ANNA,)))
    users.put(User("ben", _hash(), recipients=(BEN,)))
    return desk


@cache
def _hash() -> str:
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)  # in no time


def pitch(subject: str, body: str = "We would love a guest post with a dofollow link.") -> bytes:
    """A mail as it comes in."""
    head = f"From: Mia <mia@pitch.example>\r\nSubject: {subject}\r\nMessage-ID: <1@pitch.example>"
    kind = "Content-Type: text/plain; charset=utf-8"
    return f"{head}\r\n{kind}\r\n\r\n{body}\r\n".encode()


FAKE = Judgement(
    Verdict.FAKE,
    _MODEL,
    Score(0.97, 0.01, 0.02),
    asks=("link", "publication"),
    offers=("free-content",),
    clues=(("guest post", 1.1), ("invoice", -0.4)),
)


def hold(
    desk: Desk,
    recipient: str = ANNA,
    subject: str = "Guest post?",
    judgement: Judgement = FAKE,
    content: bytes = b"",
) -> str:
    """Hold a mail; its id."""
    to = Address(f"<{recipient}>".encode(), b"")
    mail = Envelope(Address(b"<mia@pitch.example>", b""), [to], client="mail.pitch.example")
    pieces = [*header_fields(judgement), content or pitch(subject)]
    batch = desk.quarantine.hold(pieces, mail, [to], judgement)
    batch.commit()
    return batch.ids[0]


@dataclass
class Browser:
    """A client that follows no redirects, and brings back the token of the page it saw last."""

    client: TestClient
    token: str = ""

    def get(self, path: str, **headers: str) -> Answer:
        """Load a page."""
        return self._seen(self.client.get(path, headers=headers))

    def post(self, path: str, *fields: tuple[str, str], **headers: str) -> Answer:
        """Send a form, with the token."""
        return self.send(path, ("csrf", self.token), *fields, **headers)

    def send(self, path: str, *fields: tuple[str, str], **headers: str) -> Answer:
        """Send a form as it is."""
        from urllib.parse import urlencode

        sent = {"content-type": "application/x-www-form-urlencoded", **headers}
        return self._seen(self.client.post(path, content=urlencode(fields), headers=sent))

    def do(self, item: str, deed: str, *fields: tuple[str, str]) -> Answer:
        """Open a mail and press a button of it."""
        self.get(f"/mail/{item}")
        return self.post(f"/mail/{item}", ("do", deed), *fields)

    def log_in(self, name: str, password: str = PASSWORD) -> Answer:
        """Fill in the login form, then load the list."""
        self.get("/login")
        answer = self.post("/login", ("name", name), ("password", password), ("next", "/"))
        if answer.status == 303:
            self.get("/")
        return answer

    @property
    def session(self) -> str:
        """The session's token, as the cookie has it."""
        return self.client.cookies.get("coop") or ""

    @session.setter
    def session(self, token: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set("coop", token)

    def _seen(self, response: object) -> Answer:
        answer = Answer(response)
        if match := _CSRF.search(answer.text):
            self.token = match[1]
        return answer


class Answer:
    """What came back."""

    def __init__(self, response: Any) -> None:  # the client's own class is private
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.text: str = response.text
        self.content: bytes = response.content

    @property
    def place(self) -> str:
        """Where it sends the browser."""
        return self.headers.get("location", "")


@contextmanager
def browser(desk: Desk, user: str = "", home: str = HOME) -> Iterator[Browser]:
    """A browser on the page of ``desk``, logged in as ``user`` if one is named."""
    app = around(desk)
    with TestClient(app, home, raise_server_exceptions=False, follow_redirects=False) as client:
        opened = Browser(client)
        if user:
            assert opened.log_in(user).status == 303
        yield opened

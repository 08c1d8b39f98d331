"""Forms that are none of ours, headers, hosts, and other requests that make no sense."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from harness.review import ANNA, BEN, Browser, browser, desk_in, hold
from starlette.types import Message

from milter.quarantine.item import State
from milter.review import forms
from milter.review.app import around
from milter.review.desk import Desk

POLICY = {
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
}
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


@pytest.fixture
def page(desk: Desk) -> Browser:
    with browser(desk, "anna") as opened:
        yield opened


@pytest.mark.parametrize(
    "path",
    ["/", "/login", "/passed", "/overview", "/model", "/nothing/here", "/mail/x", "/link/x"],
)
def test_every_answer_has_every_header(page: Browser, path: str) -> None:
    for answer in (page.get(path), page.post(path)):
        assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "geolocation=()" in answer.headers["permissions-policy"]
        assert "server" not in answer.headers


def test_an_error_of_ours_has_them_too_and_tells_nothing(
    page: Browser, desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(query: object) -> None:
        raise RuntimeError("a secret of the program")

    monkeypatch.setattr(desk.quarantine, "find", broken)
    answer = page.get("/")
    assert answer.status == 500
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert "An error of ours" in answer.text
    assert "a secret of the program" in caplog.text


def test_pages_have_no_script_or_style_of_their_own_and_load_nothing_from_elsewhere(
    page: Browser, desk: Desk
) -> None:
    item = hold(desk)
    for path in ("/", "/passed", "/overview", f"/mail/{item}", "/login", "/nothing"):
        text = page.get(path).text
        assert " style=" not in text
        assert "<style" not in text
        assert " onclick" not in text
        assert text.count("<script") == text.count('<script src="/static/page.js" defer></script>')
        elsewhere = [
            word
            for word in text.replace("http://www.w3.org/", "").split('"')
            if word.startswith(("http:", "https:", "//"))
        ]
        assert not elsewhere


def test_static_files_are_there_and_nothing_above_them(page: Browser) -> None:
    for name in ("page.css", "mail.css", "plot.css", "page.js", "icon.svg"):
        answer = page.get(f"/static/{name}")
        assert answer.status == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-cache"
    for name in ("../app.py", "%2e%2e/app.py", "..%2fapp.py", "/etc/passwd", ""):
        assert page.get(f"/static/{name}").status == 404


BUTTONS = [("do", "delete"), ("sure", "yes")]


@pytest.mark.parametrize("token", ["", "forged", "x" * 43, "\udc80"])
def test_a_forged_token_does_nothing(page: Browser, desk: Desk, token: str) -> None:
    item = hold(desk)
    page.get("/")
    own = token.encode("utf-8", "surrogateescape")
    # The fields are a list of pairs for others to add to; the call takes them one by one.
    answer = page.send(f"/mail/{item}", ("csrf", own), *BUTTONS)  # type: ignore[arg-type]
    assert answer.status == 403
    assert "out of date" in answer.text
    assert page.send(f"/mail/{item}", *BUTTONS).status == 403
    assert page.send("/held", ("id", item), *BUTTONS).status == 403
    assert page.send("/logout").status == 403
    assert desk.quarantine.item(item).state is State.HELD


def test_the_token_of_another_session_does_nothing(page: Browser, desk: Desk) -> None:
    item = hold(desk)
    with browser(desk, "ben") as other:
        page.token = other.token
    assert page.post(f"/mail/{item}", *BUTTONS).status == 403
    with browser(desk) as stranger:
        stranger.get("/login")
        page.token = stranger.token
    assert page.post(f"/mail/{item}", *BUTTONS).status == 403
    assert desk.quarantine.item(item).state is State.HELD


def test_nobody_is_logged_in_by_another_site(desk: Desk) -> None:
    with browser(desk) as victim, browser(desk) as attacker:
        attacker.get("/login")
        victim.get("/login")
        victim.token = attacker.token
        assert victim.post("/login", ("name", "ben"), ("password", "x")).status == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:10090.evil.example"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"origin": "http://127.0.0.1:10090"}, 303),
        ({"origin": "null"}, 303),
        ({}, 303),
    ],
)
def test_where_a_form_comes_from(
    page: Browser, desk: Desk, headers: dict[str, str], status: int
) -> None:
    item = hold(desk)
    page.get("/")
    assert page.post(f"/mail/{item}", ("do", "fake"), **headers).status == status


def test_a_huge_form_is_not_read(page: Browser) -> None:
    answer = page.post("/held", ("do", "fake"), ("id", "a" * 100_000))
    assert answer.status == 413
    assert "Too large" in answer.text
    many = [("id", "0")] * 5000
    assert page.post("/held", ("do", "fake"), *many).status == 400


GONE = {"type": "http.disconnect"}
BEGUN = {"type": "http.request", "body": b"csrf=", "more_body": True}


@pytest.mark.parametrize(("comes", "status"), [([BEGUN, GONE], 400), ([BEGUN], 408)])
def test_a_form_that_does_not_come_to_its_end(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    comes: list[dict[str, object]],
    status: int,
) -> None:
    """Who hangs up is no fault of ours, and who sends no more waits no longer than said."""
    monkeypatch.setattr(forms, "_PATIENCE", 0.1)
    assert asyncio.run(posted(desk, comes)) == status
    assert "Traceback" not in caplog.text


async def posted(desk: Desk, comes: list[dict[str, object]]) -> object:
    """The status of a login whose octets come as these messages, and then no more."""
    left, sent = iter(comes), []

    async def receive() -> Message:
        # It waits for ever: that there is no message any more is what is tested.
        return next(left, None) or await asyncio.Event().wait()  # type: ignore[return-value]

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/login", "query_string": b""}
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    await around(desk)({**scope, "headers": [(b"host", b"localhost"), kind]}, receive, send)
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        ("text/plain", 415),
        ("", 415),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", 303),
    ],
)
def test_only_forms_are_read(page: Browser, kind: str, status: int) -> None:
    headers = {"content-type": kind}
    answer = page.post("/held", ("do", "fake"), **headers)
    assert answer.status == status


def test_octets_that_are_no_form(page: Browser) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    response = page.client.post("/held", content=b"\xff\xfe\x00" * 100, headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("listen", "url", "host", "status"),
    [
        ("127.0.0.1:10090", "", "127.0.0.1:10090", 200),
        ("127.0.0.1:10090", "", "localhost:10090", 200),
        ("127.0.0.1:10090", "", "LOCALHOST", 200),
        ("127.0.0.1:10090", "", "[::1]:10090", 200),
        ("127.0.0.1:10090", "", "evil.example", 421),
        ("127.0.0.1:10090", "", "127.0.0.1.evil.example:10090", 421),
        ("127.0.0.1:10090", "", "evil.example@127.0.0.1", 200),
        ("127.0.0.1:10090", "", "[", 421),
        ("127.0.0.1:10090", "", "", 421),
        ("127.0.0.1:10090", "https://mail.example.org/review", "mail.example.org", 200),
        ("127.0.0.1:10090", "https://mail.example.org/review", "www.example.org", 421),
        ("0.0.0.0:10090", "", "192.0.2.7:10090", 200),
        ("0.0.0.0:10090", "", "evil.example", 421),
        ("unix:/run/review", "https://mail.example.org", "mail.example.org", 200),
    ],
)
def test_only_our_own_names_are_answered(
    tmp_path: Path, listen: str, url: str, host: str, status: int
) -> None:
    desk = desk_in(tmp_path, review={"listen": listen, "url": url})
    with browser(desk) as page:
        assert page.get("/login", host=host).status == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods(page: Browser, method: str) -> None:
    for path in ("/", "/login", "/mail/0123456789abcdef"):
        response = page.client.request(method, path)
        assert response.status_code == 405
        assert "does not work that way" in response.text


def test_a_page_that_is_not_there(page: Browser) -> None:
    for path in ("/nothing", "/mail/", "/login/", "/%00", "/mail/a/b"):
        answer = page.get(path)
        assert answer.status == 404, path
        assert "Not found" in answer.text
        assert 'id="logout"' in answer.text, "whoever is logged in can go on"


@pytest.mark.parametrize(
    "item", ["x", "0" * 15, "0" * 17, "0" * 16, "..%2f..%2fx", "ABCDEF0123456789", "%00" * 16]
)
def test_ids_that_are_none(page: Browser, item: str) -> None:
    for answer in (page.get(f"/mail/{item}"), page.post(f"/mail/{item}", ("do", "release"))):
        assert answer.status == 404
    assert page.post("/held", ("do", "release"), ("id", item)).status == 303
    assert "No mail was chosen" in page.get("/").text


def test_the_mail_of_others_is_as_if_it_were_not_there(page: Browser, desk: Desk) -> None:
    foreign, own = hold(desk, BEN, "For Ben alone"), hold(desk, ANNA, "For Anna")
    missing = page.get("/mail/0123456789abcdef")
    answer = page.get(f"/mail/{foreign}")
    assert (answer.status, answer.text) == (404, missing.text)
    assert "For Ben" not in page.get("/").text
    assert "For Ben" not in page.get("/?q=Ben&state=all").text
    for deed in ("release", "fake", "release-none", "delete"):
        assert page.post(f"/mail/{foreign}", ("do", deed), ("sure", "yes")).status == 404
        page.post("/held", ("do", deed), ("sure", "yes"), ("id", foreign))
    assert desk.quarantine.item(foreign).state is State.HELD
    assert not list(desk.settings.review.feedback.rglob("*.eml"))
    confirmation = page.post("/held", ("do", "delete"), ("id", foreign), ("id", own))
    assert "For Anna" in confirmation.text
    assert "For Ben" not in confirmation.text
    with browser(desk, "boss") as admin:
        assert admin.get(f"/mail/{foreign}").status == 200
        assert "For Ben alone" in admin.get("/").text


def test_pages_for_admins_are_not_there_for_others(page: Browser) -> None:
    assert page.get("/model").status == 404
    assert page.get("/model/report").status == 404
    assert page.get("/model/rollback").status == 404
    assert page.post("/model/rollback").status == 404
    assert "/model" not in page.get("/").text

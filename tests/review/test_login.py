"""Logging in: who gets in, how often one may try, and how long it lasts."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.review import ANNA, PASSWORD, Browser, browser, desk_in, hold
from starlette.testclient import TestClient

from milter.review.app import around
from milter.review.attempts import Attempts
from milter.review.desk import Desk
from milter.review.passwords import hashed
from milter.review.sessions import Sessions
from milter.review.users import User


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_shown_before_the_login(desk: Desk) -> None:
    item = hold(desk)
    with browser(desk) as page:
        for path in ("/", "/passed", "/overview", "/model", f"/mail/{item}", "/model/rollback"):
            answer = page.get(path)
            assert (answer.status, answer.place.partition("?")[0]) == (303, "/login")
            assert not answer.text
        assert page.get(f"/mail/{item}").place == f"/login?next=%2Fmail%2F{item}"


def test_the_right_password_opens_the_page_and_logging_out_shuts_it(desk: Desk) -> None:
    with browser(desk) as page:
        answer = page.log_in("anna")
        assert (answer.status, answer.place) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("coop=")
        for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=28800"):
            assert part in cookie
        assert "Secure" not in cookie
        assert page.get("/").status == 200
        stolen = page.session
        assert page.post("/logout").place == "/login"
        assert page.get("/").place == "/login"
        page.session = stolen
        assert page.get("/").place == "/login", "the session has ended, not only its cookie"


def test_behind_tls_cookies_are_for_this_host_only(tmp_path: Path) -> None:
    desk = desk_in(tmp_path, review={"url": "https://mail.example.org/review"})
    with browser(desk, home="https://mail.example.org") as page:
        answer = page.get("/review/login")
        assert answer.headers["set-cookie"].startswith("__Host-coop-visit=")
        answer = page.post("/review/login", ("name", "anna"), ("password", PASSWORD))
        assert answer.place == "/review/"
        assert answer.headers["set-cookie"].startswith("__Host-coop=")
        assert "Secure" in answer.headers["set-cookie"]
        assert 'href="/review/static/page.css"' in page.get("/review/").text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anna", "wrong"),
        ("nobody", PASSWORD),
        ("", ""),
        ("anna", ""),
        ("../anna", PASSWORD),
        ("anna\r\nSet-Cookie: a=b", PASSWORD),
        ("anna", "x" * 5000),
        ("\udcff", "\udcff"),
    ],
)
def test_anything_else_does_not(desk: Desk, name: str, password: str) -> None:
    with browser(desk) as page:
        page.get("/login")
        fields = [(k, v.encode("utf-8", "surrogateescape")) for k, v in _form(name, password)]
        answer = page.post("/login", *fields)  # type: ignore[arg-type]  # urlencode takes octets
        assert answer.status == 401
        assert "is not known" in answer.text
        assert "coop=" not in answer.headers.get("set-cookie", "")
        assert page.get("/").place == "/login"


def _form(name: str, password: str) -> list[tuple[str, str]]:
    return [("name", name), ("password", password)]


def test_an_unknown_name_costs_as_much_work_as_a_known_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from milter.review import passwords

    checked: list[str] = []
    verify = passwords._hasher.verify

    class Counting:
        def hash(self, password: bytes) -> str:
            return hashed(password.decode())

        def verify(self, hash: str, password: bytes) -> bool:
            checked.append(hash)
            return verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Counting())
    with browser(desk) as page:
        page.log_in("nobody")
        page.log_in("anna", "wrong password")
    assert len(checked) == 2
    assert checked[0] != checked[1]


def test_where_to_go_after_the_login_is_one_of_our_pages(desk: Desk) -> None:
    item = hold(desk)
    with browser(desk) as page:
        for wanted, place in [
            (f"/mail/{item}", f"/mail/{item}"),
            ("/overview", "/overview"),
            ("//evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/mail/../../x", "/"),
            ("/\r\nX-Evil: 1", "/"),
        ]:
            page.get("/login")
            answer = page.post("/login", *_form("anna", PASSWORD), ("next", wanted))
            assert answer.place == place
            assert "x-evil" not in answer.headers
            page.get("/")
            page.post("/logout")


def test_each_login_has_a_new_token(desk: Desk) -> None:
    with browser(desk, "anna") as page:
        first = page.session
        page.client.cookies.clear()
        page.log_in("anna")
        assert page.session not in ("", first)
        page.session = "chosen-by-somebody-else"
        answer = page.log_in("ben")
        assert "chosen-by-somebody-else" not in answer.headers["set-cookie"]
        page.session = "chosen-by-somebody-else"
        assert page.get("/").place == "/login"


def test_guessing_takes_longer_and_longer(desk: Desk) -> None:
    clock = Clock()
    desk.attempts = Attempts(clock)
    with browser(desk) as page:
        for _ in range(5):
            assert page.log_in("anna", "guessed-wrong").status == 401
        answer = page.log_in("anna")
        assert answer.status == 429, "not even the right password is looked at"
        assert answer.headers["retry-after"] == "1"
        clock.now += 1
        assert page.log_in("anna", "guessed-wrong").status == 401
        assert page.log_in("anna").headers["retry-after"] == "2"
        clock.now += 2
        assert page.log_in("anna").status == 303


def test_attempts_are_counted_for_name_and_for_address() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(5):
        assert attempts.begin("anna", f"192.0.2.{number}") == 0
    assert attempts.begin("anna", "192.0.2.99") > 0, "one name from many addresses"
    for number in range(5):
        assert attempts.begin(f"user{number}", "198.51.100.1") == 0
    assert attempts.begin("user9", "198.51.100.1") > 0, "many names from one address"
    for number in range(5):
        assert attempts.begin(f"other{number}", f"2001:db8::{number}") == 0
    assert attempts.begin("other9", "2001:db8::ffff") > 0, "an IPv6 network is one address"
    assert attempts.begin("other9", "2001:db8:0:1::1") == 0


def test_many_at_once_are_no_way_around_it() -> None:
    attempts = Attempts(Clock())
    begun = [attempts.begin("anna", "192.0.2.1") == 0 for _ in range(50)]
    assert begun.count(True) == 5


def test_a_success_does_not_pay_for_guessing_at_others() -> None:
    attempts = Attempts(Clock())
    for number in range(5):
        assert attempts.begin(f"user{number}", "192.0.2.1") == 0
    attempts._failures.pop(("address", "192.0.2.1"))
    for number in range(4):
        attempts.begin(f"more{number}", "192.0.2.1")
    assert attempts.begin("mallory", "192.0.2.1") == 0
    attempts.succeeded("mallory", "192.0.2.1")
    assert attempts.begin("anna", "192.0.2.1") == 0
    assert attempts.begin("ben", "192.0.2.1") > 0


def test_nobody_is_shut_out_for_long_by_strangers() -> None:
    clock = Clock()
    attempts = Attempts(clock)
    for number in range(200):
        attempts.begin("anna", f"192.0.2.{number}")
        clock.now += 3600 * 0.9
    attempts.begin("anna", "198.51.100.1")
    assert 0 < attempts.begin("anna", "198.51.100.2") <= 60
    clock.now += 3601
    assert attempts.begin("anna", "198.51.100.2") == 0


def test_the_memory_for_attempts_is_bounded() -> None:
    attempts = Attempts(Clock())
    for number in range(12_000):
        attempts.begin(f"user{number}", "")
    assert len(attempts._failures) <= 10_000


@pytest.mark.parametrize(
    ("url", "forwarded", "address"),
    [
        ("https://mail.example.org", "198.51.100.7", "198.51.100.7"),
        ("https://mail.example.org", "forged, 10.0.0.1, 198.51.100.7", "198.51.100.7"),
        ("https://mail.example.org", "", None),
        ("", "198.51.100.7", "127.0.0.1"),
    ],
)
def test_the_address_that_counts(
    tmp_path: Path, url: str, forwarded: str, address: str | None
) -> None:
    desk = desk_in(tmp_path, review={"url": url})
    home = url or "http://127.0.0.1:10090"
    client = TestClient(around(desk), home, client=("127.0.0.1", 5), follow_redirects=False)
    page = Browser(client)
    page.get("/login")
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    page.post("/login", ("name", "nobody"), ("password", "wrong"), **headers)
    counted = {key for kind, key in desk.attempts._failures if kind == "address"}
    assert counted == ({address} if address else set())


def test_a_session_ends_after_its_time(desk: Desk) -> None:
    clock = Clock()
    desk.sessions = Sessions(60, clock)
    with browser(desk, "anna") as page:
        clock.now += 59
        assert page.get("/").status == 200
        clock.now += 1
        assert page.get("/").place == "/login"


def test_a_session_ends_with_its_user_and_with_the_password(desk: Desk) -> None:
    with browser(desk, "anna") as page, browser(desk, "ben") as other:
        desk.users.remove("anna")
        assert page.get("/").place == "/login"
        desk.users.put(User("ben", hashed("another password"), recipients=(ANNA,)))
        assert other.get("/").place == "/login"


def test_what_is_kept_of_a_session_opens_none(desk: Desk) -> None:
    with browser(desk, "anna") as page:
        token = page.session
        assert token not in repr(desk.sessions._open)
        for kept in desk.sessions._open:
            page.session = kept
            assert page.get("/").place == "/login"

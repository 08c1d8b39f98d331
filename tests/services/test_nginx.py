"""The review page behind a real nginx, set up with the very file of deploy/nginx.

At the top of a host, and below a path of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPResponse
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest
from harness.nginx import HOST, Nginx, running_nginx
from harness.page import RunningPage, add_user, running_page, settings_text
from harness.review import PASSWORD, desk_in, hold

from milter.quarantine.item import State
from milter.quarantine.store import Quarantine

SITE = Path(__file__).resolve().parents[2] / "deploy" / "nginx" / "review.conf"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Site:
    """nginx and the page behind it, below ``base``; and a browser with its cookies."""

    nginx: Nginx
    page: RunningPage
    folder: Path
    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[HTTPResponse, str]:
        """Load ``path`` (below the base), or send a form to it."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        with self.nginx.connection() as connection:
            method, body = ("POST", urlencode(form)) if form else ("GET", None)
            connection.request(method, self.base + path, body, sent)
            response = connection.getresponse()
            text = response.read().decode("utf-8")
        for line in response.headers.get_all("set-cookie", []):
            self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return response, text

    def log_in(self, password: str = PASSWORD, **headers: str) -> HTTPResponse:
        form = {"name": "boss", "password": password, "next": "/"}
        return self.send("/login", "/login", form, **headers)

    def send(self, seen: str, path: str, form: dict[str, str], **headers: str) -> HTTPResponse:
        """Load the page ``seen``, and send a form of it with its token."""
        (token, *_) = _CSRF.findall(self.ask(seen)[1])
        return self.ask(path, {"csrf": token, **form}, **headers)[0]


@pytest.fixture(scope="module", params=["", "/review"], ids=["at-the-top", "below-a-path"])
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    base: str = request.param
    folder = tmp_path_factory.mktemp("page")
    config = folder / "coop.toml"
    settings = settings_text(folder).replace(
        "[review]\n", f'[review]\nurl = "https://{HOST}{base}"\n'
    )
    config.write_text(settings)
    add_user(config, "boss", "--admin")
    with running_page(config) as page:
        text = SITE.read_text().replace("http://127.0.0.1:10090", page.url)
        if base:
            text = text.replace("location / {", f"location {base}/ {{")
        with running_nginx(text) as nginx:
            yield Site(nginx, page, folder, base)


@pytest.fixture
def site(running: Site) -> Site:
    """The same for all, but for cookies."""
    running.cookies.clear()
    return running


def test_held_mail_is_released_through_it(site: Site) -> None:
    item = hold(desk_in(site.folder))
    entered = site.log_in()
    assert entered.status == 303
    assert entered.headers["Location"] == f"{site.base}/"
    listed, text = site.ask("/")
    assert listed.status == 200
    assert f'"{site.base}/mail/{item}"' in text
    sent = site.send(f"/mail/{item}", f"/mail/{item}", {"do": "release"})
    assert sent.status == 303, site.page.log
    assert Quarantine(site.folder / "quarantine").item(item).state is State.RELEASED


def test_all_that_a_page_needs_comes_from_there(site: Site) -> None:
    _, text = site.ask("/login")
    needed = re.findall(r'(?:href|src|action)="([^"#]+)"', text)
    assert needed
    assert [path for path in needed if not path.startswith(f"{site.base}/")] == []
    statics = [path for path in needed if "/static/" in path]
    assert statics
    for path in statics:
        assert site.ask(path.removeprefix(site.base))[0].status == 200


def test_headers_and_cookies_are_those_of_a_page_with_tls(site: Site) -> None:
    answer = site.ask("/login")[0]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    cookies = answer.headers.get_all("set-cookie", [])
    assert cookies
    for cookie in cookies:
        assert cookie.startswith("__Host-")
        assert "; secure" in cookie.lower()
        assert "; httponly" in cookie.lower()


def test_nobody_guesses_in_the_name_of_another_address(site: Site) -> None:
    assert site.log_in("wrong", X_Forwarded_For="203.0.113.5").status == 401
    assert "a login failed, from 127.0.0.1\n" in site.page.log


def test_no_other_host_is_answered_for(site: Site) -> None:
    assert site.ask("/login", Host="elsewhere.example")[0].status == 421


def test_a_link_is_in_no_log(site: Site) -> None:
    assert site.ask("/link/abcdef")[0].status in (400, 403, 404, 410)
    assert site.nginx.access_log == ""

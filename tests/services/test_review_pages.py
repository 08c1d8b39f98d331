"""Every page of the review, in both languages, light and dark, on a desk and on a phone.

All are opened once in Chromium, looked over by axe-core and photographed; the tests then look at
what was found. The photographs are for people: build/screenshots.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, product
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness import axe
from harness.browser import Chromium, press
from harness.page import OWN_SCRIPTS, RunningPage, log_in, running_page
from harness.review import ANNA
from harness.samples import Sample, ids, sample_in
from playwright.async_api import Page, Response

from milter.review.users import User

pytestmark = pytest.mark.chromium

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build/screenshots"
LANGUAGES = {"en": "en-GB", "de": "de-DE"}
SIZES = {"desk": (1280, 900), "phone": (390, 844)}
NARROWEST = (320, 640)  # WCAG 2.2, 1.4.10: nothing may need scrolling sideways here
SCHEMES = ("light", "dark")
PICTURES = {
    "en": ("login", "list", "mail-english", "overview", "model", "passed"),
    "de": ("list", "mail-german", "overview"),
}
_TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(frozen=True)
class Way:
    """To a page: ``user`` (empty: nobody), the path, and what is done there to see it."""

    user: str
    path: str
    act: Callable[[Page, Sample], Awaitable[None]] | None = None


@dataclass
class Seen:
    """What was found, each by the page's name; ``answers``: address, status and header fields."""

    severe: dict[str, list[str]] = field(default_factory=dict)
    slight: dict[str, list[str]] = field(default_factory=dict)
    too_wide: dict[str, list[str]] = field(default_factory=dict)
    languages: dict[str, set[str]] = field(default_factory=dict)
    answers: list[tuple[str, int, Mapping[str, str]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def _press_help(page: Page, _: Sample) -> None:
    await page.keyboard.press("?")


async def _log_in_wrongly(page: Page, _: Sample) -> None:
    await page.fill("#name", "nobody")
    await page.fill("#password", "not the password")
    await press(page, "#login")


async def _release_none_of_them(page: Page, _: Sample) -> None:
    await press(page, "button[value=release]")


async def _delete(page: Page, _: Sample) -> None:
    await press(page, "#delete")


async def _say_genuine(page: Page, _: Sample) -> None:
    await press(page, "#genuine")


async def _too_late(page: Page, sample: Sample) -> None:
    """Press a button of a mail that was deleted since the page was loaded."""
    await asyncio.to_thread(sample.desk.quarantine.delete, page.url.rpartition("/")[2], "anna")
    await press(page, "#release")


async def _unfold(page: Page, _: Sample) -> None:
    await page.click("summary")


#: All pages there are; the names in braces are ``_places``.
WAYS = {
    "login": Way("", "/login"),
    "login-refused": Way("", "/login", _log_in_wrongly),
    "link": Way("", "/link/{link}"),
    "link-used": Way("", "/link/{used}"),
    "link-wrong": Way("", "/link/AAAA"),
    "list": Way("anna", "/"),
    "list-nothing-chosen": Way("anna", "/", _release_none_of_them),
    "list-nothing-found": Way("anna", "/?q=nowhere"),
    "keys": Way("anna", "/", _press_help),
    "mail-english": Way("anna", "/mail/{english}", _unfold),
    "mail-german": Way("anna", "/mail/{german}"),
    "mail-filed": Way("anna", "/mail/{english}", _say_genuine),
    "mail-released": Way("anna", "/mail/{released}"),
    "delete": Way("anna", "/mail/{german}", _delete),
    "too-late": Way("anna", "/mail/{late}", _too_late),
    "overview": Way("anna", "/overview", _unfold),
    "not-found": Way("anna", "/mail/0000000000000000"),
    "not-that-way": Way("anna", "/logout"),
    "list-empty": Way("new", "/"),
    "passed-nothing": Way("new", "/passed"),
    "overview-empty": Way("new", "/overview?days=7"),
    "list-of-all": Way("boss", "/?state=all&sort=score"),
    "passed": Way("boss", "/passed"),
    "model": Way("boss", "/model"),
    "rollback": Way("boss", "/model/rollback"),
}


def _places(sample: Sample, language: str) -> dict[str, str]:
    """What stands in the paths of ``WAYS``."""
    return {
        "english": sample.english,
        "german": sample.german,
        "released": sample.released,
        "late": ids(sample.desk)[20 + list(LANGUAGES).index(language)],
        "link": sample.desk.links.make(sample.german, ANNA, time.time() + 600),
        "used": sample.desk.links.make(sample.released, ANNA, time.time() + 600),
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    made = sample_in(tmp_path_factory.mktemp("sample"))
    users = made.desk.users
    users.put(User("new", users.all()["anna"].hash, recipients=("new@example.org",)))
    return made


@pytest.fixture(scope="module")
def page(sample: Sample) -> Iterator[RunningPage]:
    with running_page(sample.config) as running:
        yield running


@pytest.fixture(scope="module")
def seen(chromium: Chromium, page: RunningPage, sample: Sample) -> Seen:
    """All pages, as they were seen once."""
    axe.need_axe()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found = Seen()

    async def look() -> None:
        looks = (
            _look_around(chromium, page.url, sample, language, found) for language in LANGUAGES
        )
        await asyncio.gather(*looks)

    chromium.run(look())
    return found


async def _look_around(
    chromium: Chromium, url: str, sample: Sample, language: str, seen: Seen
) -> None:
    """Go all ways in one language, each user with a session of their own."""
    places = _places(sample, language)
    for user, ways in groupby(WAYS.items(), lambda way: way[1].user):
        # A colour that is still fading into another is none that anybody has to read.
        options = {"reduced_motion": "reduce", "bypass_csp": True}
        async with chromium.visitor(url, locale=LANGUAGES[language], **options) as visitor:
            page = visitor.page
            page.on("response", lambda response: _take_down(response, seen))
            if user:
                await log_in(page, url, user)
            for name, way in ways:
                await page.goto(url + way.path.format(**places))
                if way.act:
                    await way.act(page, sample)
                await _look_at(page, name, language, seen)
            seen.wrong += visitor.watch.wrong((*OWN_SCRIPTS, str(axe.AXE)))


async def _look_at(page: Page, name: str, language: str, seen: Seen) -> None:
    """Look at the page that is open, in all sizes and colours."""
    lang = await page.get_attribute("html", "lang")
    seen.languages.setdefault(language, set()).add(str(lang))
    for (size, (width, height)), scheme in product(SIZES.items(), SCHEMES):
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme=scheme)
        where = f"{name} {language} {size} {scheme}"
        for found in await axe.findings(page, only_colours=scheme == "dark"):
            severe = found.startswith(axe.SEVERE)
            (seen.severe if severe else seen.slight).setdefault(name, []).append(
                f"{where}: {found}"
            )
        if name in PICTURES[language]:
            path = SCREENSHOTS / f"{name}-{language}-{size}-{scheme}.png"
            await page.evaluate("scrollTo(0, 0)")
            await page.screenshot(path=path, full_page=name != "list")
    for width, height in (*SIZES.values(), NARROWEST):
        await page.set_viewport_size({"width": width, "height": height})
        if beyond := await page.evaluate(_TOO_WIDE):
            where = f"{language} at {width} pixels: {beyond} too many"
            seen.too_wide.setdefault(name, []).append(where)


def _take_down(response: Response, seen: Seen) -> None:
    seen.answers.append((response.url, response.status, response.headers))


@pytest.mark.parametrize("name", WAYS)
def test_nothing_keeps_anybody_from_using_the_page(seen: Seen, name: str) -> None:
    assert seen.severe.get(name, []) == []
    assert seen.slight.get(name, []) == []


def test_the_check_finds_what_is_wrong(chromium: Chromium) -> None:
    axe.need_axe()
    faults = '<html lang="en"><title>x</title><main><p style="color:#aaa">faint</p><img src="x">'

    async def check() -> list[str]:
        async with chromium.visitor(bypass_csp=True) as visitor:
            await visitor.page.set_content(faults)
            return await axe.findings(visitor.page)

    severe = [found for found in chromium.run(check()) if found.startswith(axe.SEVERE)]
    assert {found.split(": ")[1] for found in severe} == {"color-contrast", "image-alt"}


def test_all_pages_are_in_the_language_that_the_browser_wants(seen: Seen) -> None:
    assert seen.languages == {"en": {"en"}, "de": {"de"}}


def test_nothing_runs_but_our_script_and_nothing_comes_from_elsewhere(seen: Seen) -> None:
    assert seen.wrong == []


@pytest.mark.parametrize("name", WAYS)
def test_a_page_is_never_wider_than_the_window(seen: Seen, name: str) -> None:
    assert seen.too_wide.get(name, []) == []


def _policy(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """The content security policy of an answer, by directive."""
    directives = [directive.split() for directive in headers["content-security-policy"].split(";")]
    return {name: values for name, *values in directives}


def test_every_answer_is_shut_in(seen: Seen) -> None:
    """All pages, faults, redirects and files."""
    assert {status for _, status, _ in seen.answers} >= {200, 303, 401, 404, 405, 409, 410}
    for url, status, headers in seen.answers:
        policy = _policy(headers)
        assert policy["default-src"] == ["'none'"], url
        assert {value for values in policy.values() for value in values} <= {
            *("'none'", "'self'"),
            *("'script'",),  # require-trusted-types-for
        }, url
        assert policy["script-src"] == policy["form-action"] == ["'self'"], url
        for closed in ("base-uri", "frame-ancestors", "trusted-types"):
            assert policy[closed] == ["'none'"], url
        assert policy.get("object-src", policy["default-src"]) == ["'none'"], url
        assert headers["x-content-type-options"] == "nosniff", url
        assert headers["x-frame-options"] == "DENY", url
        assert headers["referrer-policy"] == "no-referrer", url
        assert headers["cross-origin-opener-policy"] == "same-origin", url
        assert headers["cross-origin-resource-policy"] == "same-origin", url
        assert "server" not in headers, url
        kept = "no-cache" if "/static/" in url else "no-store"
        assert headers["cache-control"] == kept, (url, status)


def test_another_name_for_the_same_address_is_turned_away(page: RunningPage) -> None:
    """A name that somebody else has pointed here (DNS rebinding)."""
    there = urlsplit(page.url)
    connection = http.client.HTTPConnection(str(there.hostname), there.port, timeout=30)
    connection.request("GET", "/login", headers={"Host": f"elsewhere.test:{there.port}"})
    answer = connection.getresponse()
    assert answer.status == 421
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    connection.close()

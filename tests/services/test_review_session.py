"""Sessions, forms and keys of the review page, as a real browser has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.browser import Chromium, press
from harness.page import OWN_SCRIPTS, RunningPage, log_in, running_page, settings_text
from harness.review import desk_in, hold
from harness.site import running_site
from playwright.async_api import Page

from milter.quarantine.item import State
from milter.review.desk import Desk

pytestmark = pytest.mark.chromium

_FORM = """<!DOCTYPE html><title>Win a prize</title>
<form method="post" action="{action}"><input name="do" value="release-none">
<input name="csrf" value="guessed"><button>Here</button></form>"""
# Guesses at most. The delay doubles with each, so that the slowest machine is too fast in the end.
_MANY = 20


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("session")
    (folder / "coop.toml").write_text(settings_text(folder))
    return desk_in(folder)


@pytest.fixture(scope="module")
def page(desk: Desk) -> Iterator[RunningPage]:
    with running_page(_config(desk)) as running:
        yield running


def _config(desk: Desk) -> Path:
    return desk.settings.review.state.parent / "coop.toml"


async def try_to_log_in(page: Page, url: str, password: str) -> int:
    """The answer's status."""
    await page.goto(f"{url}/login")
    await page.fill("#name", "anna")
    await page.fill("#password", password)
    return (await press(page, "#login")).status


def test_guessing_is_slowed_down_and_told_in_words(chromium: Chromium, desk: Desk) -> None:
    """The first guesses cost nothing; then each costs more time than the one before."""

    async def guess(url: str) -> tuple[list[int], str]:
        answers: list[int] = []
        async with chromium.visitor(url, locale="en") as visitor:
            while answers[-1:] != [429] and len(answers) < _MANY:
                answers.append(await try_to_log_in(visitor.page, url, f"guess{len(answers)}"))
            return answers, await visitor.page.inner_text("#fault")

    with running_page(_config(desk)) as page:  # one that has counted nothing yet
        answers, said = chromium.run(guess(page.url))
    assert answers == [401] * (len(answers) - 1) + [429]
    assert len(answers) > 3
    assert "Too many attempts. Try again in" in said


def test_no_script_gets_at_the_cookies_and_they_end_with_the_session(
    chromium: Chromium, page: RunningPage
) -> None:
    async def look() -> tuple[list[Any], str, int, str]:
        async with chromium.visitor(page.url) as visitor:
            tab = visitor.page
            await log_in(tab, page.url, "anna")
            cookies, seen = await visitor.context.cookies(), await tab.evaluate("document.cookie")
            token = next(cookie for cookie in cookies if cookie["name"] == "coop")
            await press(tab, "#logout")
            left = await visitor.context.cookies()
            await visitor.context.add_cookies([token])
            await tab.goto(page.url)
            return cookies, seen, [cookie["name"] for cookie in left].count("coop"), tab.url

    cookies, seen, left, place = chromium.run(look())
    assert {cookie["name"] for cookie in cookies} == {"coop", "coop-visit"}
    for cookie in cookies:
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert seen == ""
    assert left == 0
    assert place == f"{page.url}/login"  # the token that was put back opens nothing


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("127.0.0.1", "The request came from another site, so nothing was done."),
        ("localhost", "Log in"),  # another site altogether: the session's cookie does not come
    ],
)
def test_another_site_cannot_press_a_button(
    chromium: Chromium, page: RunningPage, desk: Desk, host: str, says: str
) -> None:
    item = hold(desk, subject=f"Wanted by {host}")

    async def lure(site: str) -> str:
        async with chromium.visitor(page.url, site, locale="en") as visitor:
            await log_in(visitor.page, page.url, "anna")
            await visitor.page.goto(site)
            await press(visitor.page, "button")
            return await visitor.page.inner_text("#main")

    form = _FORM.format(action=f"{page.url}/mail/{item}").encode()
    with running_site(lambda path: form) as port:
        said = chromium.run(lure(f"http://{host}:{port}"))
    assert says in said
    assert desk.quarantine.item(item).state is State.HELD


def test_a_form_with_another_token_does_nothing(
    chromium: Chromium, page: RunningPage, desk: Desk
) -> None:
    item = hold(desk, subject="Of an old form")

    async def send() -> tuple[int, str]:
        async with chromium.visitor(page.url, locale="en") as visitor:
            tab = visitor.page
            await log_in(tab, page.url, "anna")
            await tab.goto(f"{page.url}/mail/{item}")
            forget = "document.querySelector('#actions [name=csrf]').value = 'another'"
            await tab.evaluate(forget)
            answer = await press(tab, "#release-none")
            return answer.status, await tab.inner_text("#main")

    status, said = chromium.run(send())
    assert status == 403
    assert "The form is out of date" in said
    assert desk.quarantine.item(item).state is State.HELD


def test_no_page_can_be_framed(chromium: Chromium, page: RunningPage) -> None:
    async def frame(site: str) -> list[str]:
        async with chromium.visitor(page.url, site) as visitor:
            await visitor.page.goto(site)
            await visitor.page.set_content(f'<iframe src="{page.url}/login"></iframe>')
            return [await frame.content() for frame in visitor.page.frames[1:]]

    with running_site(lambda path: b"<!DOCTYPE html>") as port:
        contents = chromium.run(frame(f"http://127.0.0.1:{port}"))
    assert len(contents) == 1
    assert "password" not in contents[0]


def test_the_list_obeys_keys(chromium: Chromium, page: RunningPage, desk: Desk) -> None:
    """Down, tick, release: no mouse."""
    first, second = (hold(desk, subject=f"By keys {number}") for number in (1, 2))

    async def type_keys() -> tuple[str, list[str]]:
        async with chromium.visitor(page.url, locale="en") as visitor:
            tab = visitor.page
            await log_in(tab, page.url, "anna")
            await tab.goto(f"{page.url}/?q=keys")
            for key in "jjx":
                await tab.keyboard.press(key)
            async with tab.expect_navigation():
                await tab.keyboard.press("r")
            return await tab.inner_text("#main"), visitor.watch.wrong(OWN_SCRIPTS)

    said, wrong = chromium.run(type_keys())
    assert "1 mail was released." in said
    assert wrong == []
    assert desk.quarantine.item(first).state is State.RELEASED
    assert desk.quarantine.item(second).state is State.HELD


def test_a_mail_is_released_by_its_link_with_one_press_and_not_by_looking(
    chromium: Chromium, page: RunningPage, desk: Desk
) -> None:
    """Programs that look through mail open its links; nobody has to be logged in."""
    item = hold(desk, subject="By its link")
    expires = 4_000_000_000
    link = f"{page.url}/link/{desk.links.make(item, 'anna@example.org', expires)}"

    async def follow() -> tuple[State, str]:
        async with chromium.visitor(page.url, locale="en") as visitor:
            await visitor.page.goto(link)
            after_looking = await asyncio.to_thread(desk.quarantine.item, item)
            await press(visitor.page, "#release")
            return after_looking.state, await visitor.page.inner_text("#main")

    state, said = chromium.run(follow())
    assert state is State.HELD
    assert "The mail is on its way to your mailbox." in said
    assert desk.quarantine.item(item).state is State.RELEASED
    arrived = [path.read_bytes() for path in (desk.settings.filter.maildir / "new").iterdir()]
    (mail,) = [mail for mail in arrived if b"Subject: By its link" in mail]
    assert mail.startswith(b"X-Coop-Verdict: none; reason=released")

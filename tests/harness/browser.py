"""A real Chromium, steered by Playwright, and a watch over what its pages do.

Nothing but a page's own origin is ever reached: requests to others are recorded and refused, and
what Playwright cannot see of them (WebSockets, connections ahead of requests) ends at a proxy that
records it, too.

Playwright's API is used without blocking, on an event loop that runs only within ``Chromium.run``:
the blocking one leaves a loop running that other tests would stumble over.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from harness.postfix import need
from playwright.async_api import Browser, BrowserContext, Page, Response, Route, async_playwright

T = TypeVar("T")
_FLAGS = (
    "--no-sandbox",  # root runs the tests in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Whom Chromium itself calls for updates and accounts, whatever flags say; its proxy hangs up on it.
_OWN_CALLS = re.compile(r"\S+ (?:http://)?[a-z0-9.-]+\.(?:google|googleapis)\.com[:/]")
# Tells Python of ``window.__xss`` being set, in whatever frame or window.
_TRAP = """
Object.defineProperty(window, "__xss", {
  configurable: false, get: () => undefined, set: () => { window.__caught(location.href); },
});
"""


@dataclass
class Watch:
    """What the pages of one visitor did. ``origins``: those that they may load from."""

    origins: frozenset[str]
    #: Addresses that were asked for anywhere else.
    foreign: list[str] = field(default_factory=list)
    #: Documents in which ``window.__xss`` was set.
    caught: list[str] = field(default_factory=list)
    #: Texts of alerts and their like.
    dialogs: list[str] = field(default_factory=list)
    #: Where each script came from that the engine was given; those of a document itself: its URL.
    scripts: set[str] = field(default_factory=set)
    #: Windows that were opened by a page, and what a page would have saved.
    opened: list[str] = field(default_factory=list)
    #: Errors and warnings of the console.
    console: list[str] = field(default_factory=list)

    def wrong(self, own_scripts: Iterable[str] = ()) -> list[str]:
        """What must not have happened; ``own_scripts``: endings of addresses of scripts of ours."""
        allowed = tuple(own_scripts)
        scripts = [url for url in self.scripts if not (allowed and url.endswith(allowed))]
        found = {"foreign": self.foreign, "caught": self.caught, "dialog": self.dialogs}
        found |= {"script": scripts, "opened": self.opened}
        return [f"{kind}: {what[:200]}" for kind, all_of_it in found.items() for what in all_of_it]


@dataclass
class Visitor:
    """Somebody with cookies of their own, a first page, and the watch over all of them."""

    context: BrowserContext
    watch: Watch
    with_scripts: bool

    @property
    def page(self) -> Page:
        """The first tab."""
        return self.context.pages[0]

    async def another_page(self) -> Page:
        """One more tab."""
        page = await self.context.new_page()
        page.on("popup", lambda popup: self.watch.opened.append(popup.url))
        page.on("download", lambda download: self.watch.opened.append(download.url))
        if self.with_scripts:
            await _watch_scripts(page, self.watch)
        return page


class Chromium:
    """A running browser. ``outside``: what pages had its proxy asked for, as first lines."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._browser: Browser | None = None
        self.outside: list[str] = []

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work`` on the browser's loop."""
        return self._loop.run_until_complete(work)

    @asynccontextmanager
    async def visitor(self, *urls: str, **options: Any) -> AsyncIterator[Visitor]:
        """A new visitor, who may load from the origins of ``urls``.

        ``options`` are those of Playwright's ``new_context``.
        """
        assert self._browser
        watch = Watch(frozenset(map(_origin, urls)))
        context = await self._browser.new_context(service_workers="block", **options)
        try:
            await _guard(context, watch)
            visitor = Visitor(context, watch, options.get("java_script_enabled", True))
            await visitor.another_page()
            yield visitor
        finally:
            await context.close()

    @asynccontextmanager
    async def _up(self) -> AsyncIterator[None]:
        async with await asyncio.start_server(self._refuse, "127.0.0.1", 0) as proxy:
            port = proxy.sockets[0].getsockname()[1]
            async with async_playwright() as playwright:
                self._browser = await playwright.chromium.launch(
                    executable_path=shutil.which("chromium"),
                    args=[*_FLAGS, f"--proxy-server=127.0.0.1:{port}"],
                )
                try:
                    yield
                finally:
                    await self._browser.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The proxy: takes down what it is asked for, and hangs up."""
        line = (await reader.readline()).decode("latin-1").strip()
        if line and not _OWN_CALLS.match(line):
            self.outside.append(line)
        writer.close()


@contextmanager
def running_chromium() -> Iterator[Chromium]:
    """A browser until the block ends."""
    need("chromium", "chromium")
    with asyncio.Runner() as runner:
        chromium = Chromium(runner.get_loop())
        up = chromium._up()
        runner.run(up.__aenter__())
        try:
            yield chromium
        finally:
            runner.run(up.__aexit__(None, None, None))


async def press(page: Page, selector: str) -> Response:
    """Click, and wait until the page that comes of it is there with all that belongs to it."""
    async with page.expect_navigation() as coming:
        await page.click(selector)
    return await coming.value


async def together(
    work: Callable[[Page, T], Awaitable[None]], on: Iterable[T], pages: Iterable[Page]
) -> None:
    """Do ``work`` for each of ``on``, in several pages side by side."""
    waiting = iter(on)

    async def one(page: Page) -> None:
        for each in waiting:
            await work(page, each)

    await asyncio.gather(*map(one, pages))


async def _guard(context: BrowserContext, watch: Watch) -> None:
    """Let the pages of ``context`` load from their own origins only, and watch them."""

    async def refuse(route: Route) -> None:
        watch.foreign.append(route.request.url)
        await route.abort()

    own = "|".join(re.escape(f"{origin}/") for origin in sorted(watch.origins))
    await context.route(re.compile(f"^(?!{own}|data:|about:|blob:)" if own else "."), refuse)
    await context.expose_binding("__caught", lambda _, where: watch.caught.append(where))
    await context.add_init_script(_TRAP)
    context.on("dialog", lambda dialog: _dismiss(dialog, watch))
    context.on("console", lambda said: watch.console.append(f"{said.type}: {said.text}"))


async def _watch_scripts(page: Page, watch: Watch) -> None:
    """Take down every script that the engine compiles, also those in attributes of elements."""
    session = await page.context.new_cdp_session(page)

    def parsed(event: dict[str, Any]) -> None:
        if event["url"]:  # Playwright's own have none
            watch.scripts.add(event["url"])

    session.on("Debugger.scriptParsed", parsed)
    await session.send("Debugger.enable")


async def _dismiss(dialog: Any, watch: Watch) -> None:
    watch.dialogs.append(dialog.message)
    await dialog.dismiss()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

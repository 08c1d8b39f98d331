"""Mails that attack the page, each held by the filter and opened in Chromium.

The watch sees every script that the engine is given, ``window.__xss`` being set, dialogs, windows,
downloads, and whatever is asked for anywhere else. That it sees them is shown first: on a page that
escapes nothing, the same mails do their worst.
"""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import quote

import pytest
from harness.browser import Chromium, Visitor, Watch, press, together
from harness.filter import running_filter
from harness.page import OWN_SCRIPTS, RunningPage, log_in, running_page, settings_text
from harness.review import ANNA, desk_in
from harness.site import running_site
from playwright.async_api import Page

from milter.mail.header import without_ours
from milter.quarantine.query import Query
from milter.review.desk import Desk
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Verdict

pytestmark = pytest.mark.chromium

CORPUS = sorted((Path(__file__).resolve().parents[1] / "review/xss").glob("*.eml"))
# What a page of ours is made of, and nothing that comes from a mail: everything else is told.
_FOREIGN_NODES = """() => {
  const odd = [];
  const tell = (what, node) => odd.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
  const allowed = {
    script: "head > script[src$='/static/page.js']", img: ".brand > img", svg: ".mail .bar",
    style: "no", base: "no", iframe: "no", frame: "no", object: "no", embed: "no", template: "no",
    form: ".leave, #filter, #bulk, #actions, dialog form, .narrow > form", audio: "no", video: "no",
    meta: "head > meta:not([http-equiv])", math: "no", textarea: "no", noscript: "no",
  };
  for (const node of document.querySelectorAll("*")) {
    const where = allowed[node.localName];
    if (where === "no" || (where && !node.matches(where))) tell("element", node);
    for (const { name, value } of node.attributes) {
      if (name.startsWith("on") || name === "style" || name === "srcdoc") tell(name, node);
      const leads = ["href", "src", "action", "formaction", "data", "poster"].includes(name);
      if (leads && new URL(value, location.href).origin !== location.origin) tell(name, node);
    }
  }
  for (const node of document.querySelectorAll(".words *"))
    if (!node.matches("mark[class][title], span.odd[title], span.stop")) tell("in the text", node);
  for (const node of document.querySelectorAll("bdi *, title *, code *, q > :not(bdi), option *"))
    tell("in a value", node);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  if (new Set(ids).size < ids.length) odd.push(`an id twice: ${ids}`);
  return odd;
}"""
_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass(frozen=True)
class Held:
    """The page, its desk, and the items by the name of the mail's file."""

    page: RunningPage
    desk: Desk
    items: dict[str, list[str]]


@dataclass
class Attack:
    """What came of it: what was wrong, by address; the texts and titles that were shown."""

    wrong: dict[str, list[str]] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    shown: dict[str, str] = field(default_factory=dict)
    too_wide: list[str] = field(default_factory=list)

    def note(self, where: str, what: list[str]) -> None:
        if what:
            self.wrong.setdefault(where, []).extend(what)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """Every mail as the filter holds it, and once more as it is where that is not the same."""
    folder = tmp_path_factory.mktemp("xss")
    desk = desk_in(folder)
    with running_filter(folder, settings_text(folder)) as judge:
        items = {}
        for path in CORPUS:
            before = _ids(desk)
            _send(judge.port, path.read_bytes())
            items[path.stem] = sorted(_ids(desk) - before)
    for path in CORPUS:
        (item,) = items[path.stem]
        if without_ours(desk.quarantine.content(item)) != path.read_bytes():
            items[path.stem].append(_hold_as_it_is(desk, path.read_bytes()))
    with running_page(folder / "coop.toml") as page:
        yield Held(page, desk, items)


def _send(port: int, octets: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        assert client.sendmail("anybody@refused.test", [ANNA], octets) == {}


def _ids(desk: Desk) -> set[str]:
    return {item.id for item in desk.quarantine.find(Query(limit=1000)).items}


def _hold_as_it_is(desk: Desk, octets: bytes) -> str:
    to = Address(f"<{ANNA}>".encode(), b"")
    clues = (("<script>window.__xss=1</script>", 1.2), ('"><img src=x onerror="__xss=1">', -0.4))
    judgement = Judgement(Verdict.FAKE, "<b>model</b>", None, clues=clues)
    sender = Address(b'<"<script>window.__xss=1</script>"@xss.test>', b"")
    envelope = Envelope(sender, [to], client="<img src=x onerror=__xss=1>")
    batch = desk.quarantine.hold([octets], envelope, [to], judgement)
    batch.commit()
    return batch.ids[0]


@pytest.fixture(scope="module")
def attack(chromium: Chromium, held: Held) -> Attack:
    """Every mail opened, in the list, alone, about to be deleted, searched for, and by its link."""
    found = Attack()
    chromium.run(_attacked(chromium, held, found))
    found.note("outside", chromium.outside)
    return found


async def _attacked(chromium: Chromium, held: Held, found: Attack) -> None:
    async with chromium.visitor(held.page.url, viewport={"width": 390, "height": 844}) as visitor:
        await log_in(visitor.page, held.page.url, "anna")
        pages = [visitor.page, *[await visitor.another_page() for _ in range(2)]]
        await together(lambda page, path: _open(page, held, path, found), _paths(held), pages)
        await _about_to_delete_all(visitor, held, found)
        found.note("somewhere", visitor.watch.wrong(OWN_SCRIPTS))


def _paths(held: Held) -> Iterator[str]:
    for page in (1, 2, 3):
        yield f"/?page={page}"
        yield f"/?page={page}&sort=subject"
    for words in ("<script>window.__xss=1</script>", '"><img src=x onerror="window.__xss=1">'):
        yield f"/?q={quote(words)}&state={quote(words)}&page={quote(words)}"
        yield f"/passed?q={quote(words)}"
        yield f"/{quote(words, safe='')}"
        yield f"/link/{quote(words, safe='')}"
    subjects = set()
    for item in held.desk.quarantine.find(Query(limit=1000)).items:
        yield f"/mail/{item.id}"
        if item.subject not in subjects:  # a link's page has nothing else of a mail
            subjects.add(item.subject)
            yield f"/link/{held.desk.links.make(item.id, ANNA, time.time() + 600)}"


async def _open(page: Page, held: Held, path: str, found: Attack) -> None:
    answer = await page.goto(held.page.url + path)
    assert answer
    found.statuses.add(answer.status)
    await _look(page, path, found)
    if path.startswith("/mail/"):
        await page.evaluate("document.querySelectorAll('details').forEach((d) => d.open = true)")
        found.shown[path.removeprefix("/mail/")] = await page.inner_text("main")


async def _look(page: Page, where: str, found: Attack) -> None:
    found.note(where, await page.evaluate(_FOREIGN_NODES))
    if await page.evaluate(_TOO_WIDE):
        found.too_wide.append(where)


async def _about_to_delete_all(visitor: Visitor, held: Held, found: Attack) -> None:
    """The page that asks, with the subjects of all; and what is said of those that are gone."""
    page, stale = visitor.page, await visitor.another_page()
    for tab in (page, stale):
        await tab.set_viewport_size({"width": 1280, "height": 900})
    for number in (1, 2, 3):
        await page.goto(f"{held.page.url}/?page={number}")
        await page.check("#all")
        await press(page, "button[value=delete]")
        await _look(page, f"deleting page {number}", found)
    await stale.goto(f"{held.page.url}/")
    await stale.check("#all")
    for item in await stale.locator("[name=id]").evaluate_all("all => all.map((n) => n.value)"):
        await asyncio.to_thread(held.desk.quarantine.delete, item, "anna")
    await press(stale, "button[value=release]")
    found.shown["notes"] = await stale.inner_text(".note")
    await _look(stale, "notes", found)


def test_every_mail_is_held(held: Held) -> None:
    assert len(held.items) == len(CORPUS) >= 50
    assert all(held.items.values())


def test_nothing_runs_nothing_is_loaded_and_no_element_of_a_mail_is_in_a_page(
    attack: Attack,
) -> None:
    assert attack.wrong == {}


def test_every_page_is_an_answer(attack: Attack) -> None:
    assert attack.statuses == {200, 404, 410}


def test_no_mail_makes_a_page_wider_than_a_phone(attack: Attack) -> None:
    assert attack.too_wide == []


def test_the_text_of_the_mails_is_shown(held: Held, attack: Attack) -> None:
    """Nothing was won by not showing anything."""
    shown = [attack.shown[item] for items in held.items.values() for item in items]
    assert all("anybody@refused.test" in text or "xss.test" in text for text in shown)
    assert sum("we read your site with pleasure" in text for text in shown) >= len(CORPUS) * 0.7
    assert "<script>window.__xss=1</script>" in attack.shown[held.items["body-plain-script"][0]]
    assert "A link on your page" in attack.shown["notes"]


def _trusting(path: str) -> bytes:
    """A page that trusts mails: their fields and texts are its markup, and nothing shuts it in."""
    number = path.removeprefix("/mail/")
    if not number.isdigit():
        return b""
    mail = message_from_bytes(CORPUS[int(number)].read_bytes(), policy=policy.compat32)
    fields = "".join(f"<p>{name}: {value}" for name, value in mail.items())
    parts = [part.get_payload(decode=True) or b"" for part in mail.walk()]
    return (
        b"<!DOCTYPE html>"
        + fields.encode("utf-8", "replace")
        + b"<div>"
        + b"</div><div>".join(parts)
    )


def test_a_page_that_trusts_them_falls_to_most(chromium: Chromium) -> None:
    """The watch works: the same mails run, ask, and load on a page that escapes nothing."""

    async def open_one(page: Page, address: str) -> None:
        await page.goto(address)

    async def fall(url: str) -> Watch:
        async with chromium.visitor(url) as visitor:
            pages = [visitor.page, *[await visitor.another_page() for _ in range(2)]]
            addresses = [f"{url}/mail/{number}" for number in range(len(CORPUS))]
            await together(open_one, addresses, pages)
            return visitor.watch

    with running_site(_trusting) as port:
        watch = chromium.run(fall(f"http://127.0.0.1:{port}"))
    fallen = {address for address in watch.caught if "/mail/" in address}
    assert len(fallen) > len(CORPUS) / 2
    assert len(fallen & watch.scripts) > len(CORPUS) / 2
    assert any("xss.test" in address for address in watch.foreign)

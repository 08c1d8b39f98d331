"""The links of the digest: they ask first, and are for one mail of one recipient."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from harness.review import ANNA, BEN, browser, desk_in, hold

from milter.digest.links import Links
from milter.quarantine.item import State
from milter.review.desk import Desk
from milter.smtp.reply import Reply


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


def token(desk: Desk, item: str, recipient: str = ANNA, seconds: float = 3600) -> str:
    return desk.links.make(item, recipient, time.time() + seconds)


def test_a_link_asks_and_a_button_releases(desk: Desk) -> None:
    item = hold(desk, subject="Held for Anna")
    path = f"/link/{token(desk, item)}"
    with browser(desk) as page:
        for _ in range(3):  # a program that looks through the mail, and the reader
            asked = page.get(path)
            assert asked.status == 200
            assert "Held for Anna" in asked.text
        for secret in ("mia@pitch.example", "dofollow", "guest post with", ANNA):
            assert secret not in asked.text
        assert desk.quarantine.item(item).state is State.HELD
        done = page.post(path)
        assert done.status == 200
        assert "on its way to your mailbox" in done.text
        assert desk.quarantine.item(item).state is State.RELEASED
        assert "on its way to your mailbox" in page.post(path).text, "once more is as good"
        assert "on its way to your mailbox" in page.get(path).text
    assert len(list((desk.settings.filter.maildir / "new").iterdir())) == 1
    events = desk.quarantine.history(item)
    assert events[-1].by == "a link"


@pytest.mark.parametrize(
    ("first", "told"),
    [("release", "on its way to your mailbox"), ("delete", "It was deleted.")],
)
def test_somebody_else_is_quicker(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, first: str, told: str
) -> None:
    """Between the look at the mail and its release, which no real press of a button can hit."""
    item = hold(desk)
    release = desk.quarantine.release

    async def late(*arguments: Any) -> Reply:
        if first == "release":
            await release(*arguments)
        else:
            await asyncio.to_thread(desk.quarantine.delete, item, "somebody")
        return await release(*arguments)

    monkeypatch.setattr(desk.quarantine, "release", late)
    with browser(desk) as page:
        path = f"/link/{token(desk, item)}"
        page.get(path)
        answer = page.post(path)
    assert answer.status == 200
    assert told in answer.text
    assert len(list((desk.settings.filter.maildir / "new").iterdir())) == (first == "release")


def test_links_that_do_not_hold(desk: Desk, tmp_path: Path) -> None:
    item = hold(desk)
    good = token(desk, item)
    bad = {
        "expired": token(desk, item, seconds=-1),
        "of another recipient": token(desk, item, BEN),
        "of another mail": token(desk, "0123456789abcdef"),
        "under another key": Links.kept_in(tmp_path / "other").make(item, ANNA, time.time() + 99),
        "cut": good[:-1],
        "longer": good + "A",
        "changed": ("B" if good[0] == "A" else "A") + good[1:],
        "no token": "x",
        "path": "..%2f..%2fetc",
        "huge": "A" * 5000,
    }
    with browser(desk) as page:
        page.get(f"/link/{good}")
        for why, text in bad.items():
            for answer in (page.get(f"/link/{text}"), page.post(f"/link/{text}")):
                assert answer.status == (404 if why == "path" else 410), why
                assert "Guest post" not in answer.text
    assert desk.quarantine.item(item).state is State.HELD


def test_a_link_gives_no_right_but_this(desk: Desk) -> None:
    item = hold(desk)
    with browser(desk) as page:
        page.get(f"/link/{token(desk, item)}")
        assert page.get(f"/mail/{item}").status == 303
        assert page.post(f"/mail/{item}", ("do", "delete"), ("sure", "yes")).status == 303
        assert page.get("/").place == "/login"
    assert desk.quarantine.item(item).state is State.HELD


def test_a_form_from_elsewhere_releases_nothing(desk: Desk) -> None:
    item = hold(desk)
    path = f"/link/{token(desk, item)}"
    with browser(desk) as page:
        page.get(path)
        assert page.send(path).status == 403
        assert page.post(path, **{"sec-fetch-site": "cross-site"}).status == 403
    assert desk.quarantine.item(item).state is State.HELD


def test_a_mail_that_was_deleted_meanwhile(desk: Desk) -> None:
    item = hold(desk)
    path = f"/link/{token(desk, item)}"
    with browser(desk) as page:
        page.get(path)
        desk.quarantine.delete(item, "anna")
        text = page.get(path).text
        assert "Not held any more" in text
        assert "It was deleted." in text
        assert "Not held any more" in page.post(path).text
    assert desk.quarantine.item(item).state is State.DELETED

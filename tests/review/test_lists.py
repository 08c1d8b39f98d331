"""The lists: who sees what, search, filters, order, pages, and buttons for several mails."""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from harness.review import ANNA, BEN, FAKE, Browser, browser, desk_in, hold, pitch

from milter.quarantine.item import State
from milter.review.desk import Desk
from milter.review.users import User
from milter.seen import Index
from milter.smtp.reply import Reply
from milter.spam.action import Action
from milter.spam.verdict import Judgement, Reason, Score, Verdict

UNSURE = Judgement(Verdict.UNSURE, "m", Score(0.7, 0.1, 0.2), asks=("call",))
TAKEN = Reply.of(250, "2.0.0", "taken")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


def subjects(text: str) -> list[str]:
    """The subjects in a list, from its first row to its last."""
    return re.findall(r'<td role="cell" class="subject"><a [^>]*><bdi>([^<]*)', text)


def test_each_sees_the_own_mail_and_an_admin_all(desk: Desk) -> None:
    hold(desk, ANNA, "To Anna")
    hold(desk, BEN, "To Ben")
    desk.users.put(User("both", desk.users.all()["anna"].hash, recipients=(ANNA, BEN)))
    desk.users.put(User("new", desk.users.all()["anna"].hash))
    seen = {}
    for name in ("anna", "ben", "both", "boss", "new"):
        with browser(desk, name) as page:
            seen[name] = sorted(subjects(page.get("/").text))
            if name == "new":
                assert "No mailbox is assigned to you" in page.get("/").text
    both = ["To Anna", "To Ben"]
    assert seen == {"anna": both[:1], "ben": both[1:], "both": both, "boss": both, "new": []}


def test_search_and_filters(desk: Desk) -> None:
    hold(desk, subject="Gastbeitrag für Ihren Blog")
    hold(desk, subject="Link exchange", judgement=UNSURE)
    released = hold(desk, subject="Was released")
    with browser(desk, "anna") as page:
        assert page.do(released, "release").status == 303
        assert len(subjects(page.get("/").text)) == 2
        assert subjects(page.get("/?q=GASTBEITRAG").text) == ["Gastbeitrag für Ihren Blog"]
        assert subjects(page.get(f"/?q={quote('für blog')}").text) == ["Gastbeitrag für Ihren Blog"]
        assert subjects(page.get("/?verdict=unsure").text) == ["Link exchange"]
        assert subjects(page.get("/?state=released").text) == ["Was released"]
        assert len(subjects(page.get("/?state=all").text)) == 3
        assert subjects(page.get("/?state=removed").text) == []
        assert "No mail matches" in page.get("/?q=nowhere").text
        for odd in ("?verdict=x&state=y&days=-1&sort=rowid", "?q=%25", "?q=" + "a" * 9000):
            assert page.get(f"/{odd}").status == 200


def test_what_is_searched_for_stands_in_the_form_again_and_harms_nobody(desk: Desk) -> None:
    hold(desk)
    with browser(desk, "anna") as page:
        text = page.get(f"/?q={quote(chr(34) + '><script>alert(1)</script>')}").text
    assert "<script>alert" not in text
    assert "&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_the_order(desk: Desk) -> None:
    for subject, share in (("b", 0.96), ("a", 0.99), ("c", 0.94)):
        judgement = Judgement(Verdict.FAKE, "m", Score(share, 0, 1 - share))
        hold(desk, subject=subject, judgement=judgement)
        time.sleep(0.002)
    with browser(desk, "anna") as page:
        assert subjects(page.get("/").text) == ["c", "a", "b"]
        assert subjects(page.get("/?order=up").text) == ["b", "a", "c"]
        assert subjects(page.get("/?sort=score").text) == ["a", "b", "c"]
        text = page.get("/?sort=subject").text
        assert subjects(text) == ["a", "b", "c"]
        assert 'aria-sort="ascending"><a href="/?sort=subject&amp;order=down">' in text
        text = page.get("/?sort=subject&order=down").text
        assert subjects(text) == ["c", "b", "a"]
        assert 'aria-sort="descending"><a href="/?sort=subject">' in text


def test_pages(desk: Desk) -> None:
    for number in range(53):
        hold(desk, subject=f"mail {number:02}")
    with browser(desk, "anna") as page:
        first = page.get("/?sort=subject")
        assert subjects(first.text) == [f"mail {number:02}" for number in range(50)]
        assert "1–50 of 53" in first.text
        assert "/?sort=subject&amp;page=2" in first.text
        second = page.get("/?sort=subject&page=2")
        assert subjects(second.text) == ["mail 50", "mail 51", "mail 52"]
        assert page.get("/?page=99").place == "/?page=2"
        for odd in ("0", "-1", "abc", "1e9", "9" * 40, "%00", "２", ""):
            assert page.get(f"/?page={odd}").status == 200
        assert page.get("/passed?page=7").place == "/passed"


def test_a_button_for_several(desk: Desk) -> None:
    items = [hold(desk, subject=f"mail {number}") for number in range(3)]
    foreign = hold(desk, BEN, "To Ben")
    with browser(desk, "anna") as page:
        ids = [("id", item) for item in [*items[:2], items[0], foreign, "nonsense"]]
        answer = page.post("/held", ("do", "release-none"), ("back", "q=mail"), *ids)
        assert answer.place == "/?q=mail"
        text = page.get(answer.place).text
        assert "2 mails were released." in text
        assert "Filed as “not a pitch”" in text
        assert subjects(text) == ["mail 2"]
        assert "2 mails were released." not in page.get("/").text, "told once"
    filed = sorted(path.stem for path in desk.settings.review.feedback.rglob("*/none/*.eml"))
    assert filed == sorted(items[:2])
    assert len(list((desk.settings.filter.maildir / "new").iterdir())) == 2
    assert desk.quarantine.item(foreign).state is State.HELD


def test_deleting_several_asks_first(desk: Desk) -> None:
    items = [hold(desk, subject=f"mail {number}") for number in range(2)]
    ids = [("id", item) for item in items]
    with browser(desk, "anna") as page:
        asked = page.post("/held", ("do", "delete"), ("back", "sort=score"), *ids)
        assert asked.status == 200
        assert "These 2 mails will be deleted" in asked.text
        assert 'href="/?sort=score"' in asked.text
        assert desk.quarantine.item(items[0]).open
        done = page.post("/held", ("do", "delete"), ("sure", "yes"), ("back", "sort=score"), *ids)
        assert done.place == "/?sort=score"
        assert "2 mails were deleted." in page.get("/").text
    assert {desk.quarantine.item(item).state for item in items} == {State.DELETED}


def test_the_way_back_from_a_button_is_a_list_of_ours(desk: Desk) -> None:
    item = hold(desk)
    with browser(desk, "anna") as page:
        for back in ("//evil.example", "q=a%0d%0aX-Evil: 1", "page=2&x=y", "&" * 5000):
            page.get("/")
            answer = page.post("/held", ("do", "fake"), ("id", item), ("back", back))
            assert re.fullmatch(r"/(\?(q=a%0D%0AX-Evil%3A\+1|page=2))?", answer.place)
            assert "x-evil" not in answer.headers


def test_some_done_and_some_not(desk: Desk) -> None:
    from milter.quarantine import record

    free, busy, gone = (hold(desk, subject=name) for name in ("free", "busy", "gone"))
    folder = desk.settings.quarantine.folder / ANNA
    next(folder.glob(f"new/*{gone}*")).unlink()
    ids = [("id", item) for item in (free, busy, gone)]
    with browser(desk, "anna") as page, record.locked(folder / "held" / f"{busy}.jsonl"):
        page.post("/held", ("do", "release"), *ids)
        text = page.get("/").text
    assert "1 mail was released." in text
    assert "1 mail is being released or deleted by somebody else." in text
    assert "1 mail is not held any more." in text


def seen(desk: Desk, recipient: str, judgement: Judgement, number: int, *actions: Action) -> None:
    """Put a mail that went through into the filter's index."""
    index = Index(desk.settings.journal.folder, 1 << 20)
    content = pitch("x").replace(b"<1@", f"<{number}@".encode())
    digests = index.digests(content, [recipient])
    index.record(f"log{number}", digests, judgement, TAKEN, actions or [Action.TAG])
    index.close()


def test_mail_that_went_through(desk: Desk) -> None:
    seen(desk, ANNA, FAKE, 1)
    seen(desk, ANNA, Judgement(Verdict.UNSCORED, "m", reason=Reason.TOO_LITTLE_TEXT), 2)
    seen(desk, BEN, UNSURE, 3)
    with browser(desk, "anna") as page:
        text = page.get("/passed").text
        assert "log1" in text
        assert "log2" in text
        assert "log3" not in text
        assert "It has too little text." in text
        assert "marked in the header" in text
        assert "A link to another site" in text
        assert "log2" not in page.get("/passed?verdict=fake").text
        assert "log1" not in page.get("/passed?action=nothing").text
        found = page.get(f"/passed?q={quote('<2@pitch.example>')}").text
        assert "log2" in found
        assert "log1" not in found
        assert "log3" not in page.get(f"/passed?q={quote('3@pitch.example')}").text
    with browser(desk, "boss") as admin:
        text = admin.get("/passed?days=1").text
        assert all(f"log{number}" in text for number in (1, 2, 3))
        assert subjects(text) == [], "there is no subject in the index"


def test_what_was_done_for_others_is_theirs_to_know(desk: Desk) -> None:
    seen(desk, ANNA, FAKE, 1, Action.TAG, Action.QUARANTINE)
    with browser(desk, "anna") as page:
        text = page.get("/passed").text
        assert "as each recipient wished" in text
        assert "marked in the header, held back" not in text
        assert "log1" not in page.get("/passed?action=quarantine").text
    with browser(desk, "boss") as admin:
        assert "marked in the header, held back" in admin.get("/passed").text


def test_without_an_index_the_list_says_so(tmp_path: Path) -> None:
    desk = desk_in(tmp_path, journal={"enabled": False})
    with browser(desk, "boss") as page:
        assert "keeps no index" in page.get("/passed").text


def test_the_overview_counts_what_one_may_see(desk: Desk) -> None:
    for _ in range(3):
        hold(desk, ANNA)
    hold(desk, BEN, judgement=UNSURE)
    with browser(desk, "anna") as page, browser(desk, "boss") as admin:
        own, everybodys = page.get("/overview").text, admin.get("/overview?days=7").text
    assert "3 mails were held in the last 30 days." in own
    assert "4 mails were held in the last 7 days." in everybodys
    assert "unsure" not in own
    assert '<svg class="plot-' in own
    assert '<th scope="row">' in own, "the same numbers as a table"
    with browser(desk, "ben") as page:
        for odd in ("-1", "1e9", "x", ""):
            assert page.get(f"/overview?days={odd}").status == 200


def test_a_browser_page_for_nobody_counts_nothing(desk: Desk) -> None:
    hold(desk)
    desk.users.put(User("new", desk.users.all()["anna"].hash))
    page: Browser
    with browser(desk, "new") as page:
        assert "0 mails were held" in page.get("/overview").text

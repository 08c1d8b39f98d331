"""One mail: what its page shows, and what its buttons do."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from harness.ports import free_port
from harness.review import ANNA, FAKE, Answer, Browser, browser, desk_in, hold, pitch

from milter import letting_go
from milter.errors import QuarantineError
from milter.mail import header
from milter.quarantine import record
from milter.quarantine.item import State
from milter.review.desk import Desk
from milter.spam.verdict import Judgement, Reason, Verdict


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_in(tmp_path)


@pytest.fixture
def page(desk: Desk) -> Iterator[Browser]:
    with browser(desk, "anna") as opened:
        yield opened


def delivered(desk: Desk) -> list[bytes]:
    """What lies in the Maildir behind."""
    return [path.read_bytes() for path in (desk.settings.filter.maildir / "new").iterdir()]


def filed(desk: Desk) -> dict[str, list[str]]:
    """The ids in the feedback folder, by label."""
    found: dict[str, list[str]] = {}
    for path in sorted(desk.settings.review.feedback.rglob("*.eml")):
        assert path.parts[-3] == ANNA
        found.setdefault(path.parts[-2], []).append(path.stem)
    return found


def test_what_the_page_shows(desk: Desk, page: Browser) -> None:
    body = "We would love to place a guest post with a dofollow link on your blog, free of charge."
    text = page.get(f"/mail/{hold(desk, content=pitch('Guest post?', body))}").text
    for words in (
        "Guest post?",
        "Mia &lt;mia@pitch.example&gt;",
        ANNA,
        "Probability that it is a fake: 97.0\N{NO-BREAK SPACE}%",
        "What it wants from you",
        "A link to another site",
        "A text of theirs on your site",
        "What it offers you",
        "A text that costs nothing",
        "guest post",
        "speaks for fake (1.1)",
        "speaks against (0.4)",
        "2026.11.20-aaaaaaa",
        "arrived and was held back",
        "mail.pitch.example",
    ):
        assert words in text, words
    assert '<mark class="ask" title="Wants: ' in text
    assert '<rect class="bar-part" width="97.0" height="4"/>' in text


def test_why_it_was_not_judged(desk: Desk, page: Browser) -> None:
    judgement = Judgement(Verdict.UNSCORED, "m", reason=Reason.UNREADABLE)
    text = page.get(f"/mail/{hold(desk, judgement=judgement)}").text
    assert "Its text could not be read." in text
    assert "Probability" not in text
    assert text.count("Nothing that the filter has a name for.") == 2


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "{{ 7*7 }}{% include 'x' %}",
    "</textarea></div><form action=https://evil.example>",
    "\u202egnp.exe\u202c and \u2066more",
    "\x00\x07\x1b[31mred\x7f",
    "<style>body{display:none}</style>",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_mail_is_more_than_text(desk: Desk, page: Browser, text: str) -> None:
    octets = text.replace("\x00", "").encode()
    subject = b"=?utf-8?b?" + __import__("base64").b64encode(text.encode()) + b"?="
    content = b"From: %s <a@b.example>\r\nSubject: %s\r\n\r\n" % (octets, subject)
    content += b"Hello there, we offer a guest post: " + octets + b"\r\n"
    judgement = Judgement(Verdict.FAKE, "m", clues=((text, 1.0),))
    item = hold(desk, content=content, judgement=judgement)
    for path in ("/", f"/mail/{item}"):
        shown = page.get(path).text
        for tag in ("<script>", "<img src=x", "<svg/", "<form action=https", "<style"):
            assert tag not in shown
        assert "49" not in shown.partition("<h1>")[2].partition("</h1>")[0]
        assert not {*"\u202e\u2066\x00\x07\x1b\x7f"} & set(shown)
    asked = page.do(item, "delete").text
    assert not {*"\u202e\u2066\x00\x07\x1b\x7f"} & set(asked)


def test_a_huge_mail_is_shown_in_part(desk: Desk, page: Browser) -> None:
    content = pitch("Huge", "a guest post with a link, please. " * 300_000)
    text = page.get(f"/mail/{hold(desk, content=content)}").text
    assert "more of it is not shown" in text
    assert len(text) < 1_000_000


def test_one_click_releases_and_teaches(desk: Desk, page: Browser) -> None:
    content = pitch("No pitch at all")
    item = hold(desk, content=content)
    answer = page.do(item, "release-none")
    assert (answer.status, answer.place) == (303, f"/mail/{item}")
    text = page.get(answer.place).text
    assert "Released: the mail server has taken it." in text
    assert "Filed as “not a pitch”" in text
    assert f"<code>{ANNA}/none/{item}.eml</code>" in text
    assert "Not learned yet" in text
    assert "(by anna)" in text
    assert 'name="do"' not in text, "there is nothing more to be done"
    (mail,) = delivered(desk)
    assert b"X-Coop-Verdict: none; reason=released" in mail
    assert header.without_ours(mail).endswith(content)
    assert filed(desk) == {"none": [item]}
    path = desk.settings.review.feedback / ANNA / "none" / f"{item}.eml"
    assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("label", ["fake", "genuine", "none"])
def test_saying_what_it_is_leaves_it_where_it_is(desk: Desk, page: Browser, label: str) -> None:
    item = hold(desk)
    assert page.do(item, "genuine" if label == "fake" else "fake").status == 303
    assert page.do(item, label).place == f"/mail/{item}"
    assert filed(desk) == {label: [item]}, "the last word counts"
    assert desk.quarantine.item(item).state is State.HELD
    text = page.get(f"/mail/{item}").text
    assert f'id="{label}" name="do" value="{label}" aria-pressed="true"' in text
    assert delivered(desk) == []


def test_releasing_alone_teaches_nothing(desk: Desk, page: Browser) -> None:
    item = hold(desk)
    page.do(item, "release")
    assert filed(desk) == {}
    assert len(delivered(desk)) == 1
    assert page.do(hold(desk), "release-genuine").status == 303
    assert list(filed(desk)) == ["genuine"]


def test_deleting_asks_first(desk: Desk, page: Browser) -> None:
    item = hold(desk)
    asked = page.do(item, "delete")
    assert asked.status == 200
    assert "This mail will be deleted" in asked.text
    assert desk.quarantine.item(item).state is State.HELD
    assert page.post(f"/mail/{item}", ("do", "delete"), ("sure", "yes")).status == 303
    text = page.get(f"/mail/{item}").text
    assert "It was deleted." in text
    assert "The text is no longer here." in text


@pytest.mark.parametrize("deed", ["", "RELEASE", "release none", "drop table", "__class__"])
def test_a_button_that_there_is_not(desk: Desk, page: Browser, deed: str) -> None:
    item = hold(desk)
    assert page.do(item, deed).status == 400
    assert desk.quarantine.item(item).state is State.HELD


def test_the_receipt_of_learning(desk: Desk, tmp_path: Path, page: Browser) -> None:
    item = hold(desk)
    page.do(item, "none")
    models = desk.settings.model.folder
    object.__setattr__(desk.settings.model, "folder", tmp_path / "models")
    (tmp_path / "models").mkdir()
    receipt = {
        "message_id": "1@pitch.example",
        "source": f"/elsewhere/{ANNA}/none/{item}.eml",
        "label": "none",
        "outcome": "refused",
        "reason": "conflict",
        "model": "",
    }
    foreign = {**receipt, "source": "/elsewhere/ben@example.org/none/x.eml", "reason": "quota"}
    lines = "\n".join(["no receipt", json.dumps(foreign), json.dumps(receipt)])
    (tmp_path / "models" / "receipts.jsonl").write_text(lines)
    text = page.get(f"/mail/{item}").text
    assert "Not learned: owners disagree about it." in text
    assert "quota" not in text
    receipt |= {"outcome": "learned", "reason": "", "model": "2026.11.24-bbbbbbb"}
    (tmp_path / "models" / "receipts.jsonl").write_text(json.dumps(receipt))
    assert "Learned into model 2026.11.24-bbbbbbb." in page.get(f"/mail/{item}").text
    object.__setattr__(desk.settings.model, "folder", models)


def test_two_at_once(desk: Desk, page: Browser) -> None:
    item = hold(desk)
    path = desk.settings.quarantine.folder / ANNA / "held" / f"{item}.jsonl"
    with record.locked(path):
        for deed, more in (("release", ()), ("delete", (("sure", "yes"),))):
            answer = page.do(item, deed, *more)
            assert answer.status == 409
            assert "Somebody else is releasing or deleting this mail" in answer.text
    assert page.do(item, "release").status == 303
    again = page.post(f"/mail/{item}", ("do", "release"))
    assert again.status == 409
    assert "It was released" in again.text
    assert len(delivered(desk)) == 1, "once, however often the button is pressed"


def test_a_mail_that_its_owner_took_out(desk: Desk, page: Browser) -> None:
    item = hold(desk)
    next((desk.settings.quarantine.folder / ANNA / "new").iterdir()).unlink()
    assert page.post(f"/mail/{item}", ("do", "release-none")).status == 409
    assert "taken out of the quarantine" in page.get(f"/mail/{item}").text
    assert filed(desk) == {}


class _Refusing:
    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 - aiosmtpd's name for it
        return "550 5.7.1 <b>not</b> here"


@pytest.fixture
def refusing() -> Iterator[int]:
    """The port of a mail server that refuses every mail."""
    server = Controller(_Refusing(), hostname="127.0.0.1", port=free_port())
    server.start()
    yield server.port
    server.stop()


def _still_held(desk: Desk, answer: Answer, words: str, item: str) -> None:
    assert answer.status == 502
    assert words in answer.text
    assert desk.quarantine.item(item).open
    assert desk.quarantine.content(item)


def test_a_next_hop_that_refuses(tmp_path: Path, refusing: int) -> None:
    desk = desk_in(tmp_path, filter={"next_hop": f"127.0.0.1:{refusing}"})
    item = hold(desk)
    with browser(desk, "anna") as page:
        _still_held(desk, page.do(item, "release"), "The mail server has refused the mail", item)
        text = page.get(f"/mail/{item}").text
        assert "&lt;b&gt;not&lt;/b&gt; here" in text
        page.post("/held", ("do", "release"), ("id", item))
        assert "1 mail was refused by the mail server" in page.get("/").text


def test_a_next_hop_that_is_not_there(tmp_path: Path) -> None:
    desk = desk_in(tmp_path, filter={"next_hop": f"127.0.0.1:{free_port()}"})
    item = hold(desk)
    with browser(desk, "anna") as page:
        answer = page.do(item, "release-none")
        _still_held(desk, answer, "The mail server cannot be reached", item)
        assert filed(desk) == {"none": [item]}, "what was said stays said"
        page.post("/held", ("do", "release"), ("id", item))
        assert "cannot be reached; it is still held" in page.get("/").text


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_when_filing(
    desk: Desk, page: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(letting_go, "file_feedback", full)
    item = hold(desk)
    answer = page.do(item, "release-none")
    assert answer.status == 507
    assert "The disk is full" in answer.text
    assert desk.quarantine.item(item).state is State.HELD
    assert delivered(desk) == []


@pytest.mark.parametrize(("cause", "status"), [(FULL, 507), (OSError(errno.EIO, "bad"), 503)])
def test_a_disk_that_fails_when_releasing(
    desk: Desk, page: Browser, monkeypatch: pytest.MonkeyPatch, cause: OSError, status: int
) -> None:
    async def failing(*_: object) -> None:
        raise QuarantineError("the quarantine cannot be written") from cause

    monkeypatch.setattr(desk.quarantine, "release", failing)
    item = hold(desk)
    answer = page.do(item, "release")
    assert answer.status == status
    assert "Nothing was lost" in answer.text


def test_users_that_cannot_be_read(desk: Desk, page: Browser) -> None:
    (desk.settings.review.state / "users.json").write_text("{ broken")
    answer = page.get("/")
    assert answer.status == 503
    assert "Traceback" not in answer.text


def test_what_was_released_is_still_told_of(desk: Desk, page: Browser) -> None:
    item = hold(desk, judgement=FAKE)
    page.do(item, "release")
    text = page.get(f"/mail/{item}").text
    assert "Guest post?" in text
    assert "It was released, and is on its way" in text

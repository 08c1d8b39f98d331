"""Who gets a digest, when, of what, and what becomes of it at the next hop."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from digest.held import ANNA, BERTA, DAY, NOW, hold, tokens
from smtp.scripted_hop import DROP, REFUSE, ScriptedHop

from milter.config import Settings, load
from milter.digest import memory
from milter.digest.links import Links
from milter.digest.memory import Memory
from milter.digest.send import LISTED, Due, Form, Outcome, due, send
from milter.errors import SettingsError, StartError
from milter.quarantine.store import Quarantine, State
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import SmtpNextHop, Timeouts

FORM = Form("coop@example.org", "https://mail.example.org/review", 7, 30)
LINKS = Links(bytes(32))


def run(
    dues: list[Due], kept: Memory, answers: Mapping[str, bytes] | None = None, now: float = NOW
) -> tuple[Outcome, ScriptedHop]:
    """Send through a next hop that gives ``answers``."""
    hop = ScriptedHop(answers)

    async def sending() -> Outcome:
        await hop.start()
        way = SmtpNextHop(
            Endpoint(host="127.0.0.1", port=hop.port), "mx.example.org", Timeouts(5, 5, 5, 10)
        )
        try:
            return await send(dues, FORM, LINKS, kept, way, now)
        finally:
            await hop.stop()

    return asyncio.run(sending()), hop


def test_each_recipient_is_told_of_the_own_mails_only(quarantine: Quarantine, kept: Memory) -> None:
    first = hold(quarantine, ANNA, BERTA, subject="Erste")
    second = hold(quarantine, ANNA, subject="Zweite")
    outcome, hop = run(due(quarantine, kept, NOW), kept)
    assert (outcome.sent, outcome.failed) == (2, [])
    to_anna, to_berta = hop.mails
    wanted = {(first[0], ANNA), (second[0], ANNA)}
    read = [LINKS.read(token, NOW) for token in tokens(to_anna)]
    assert {(link.item, link.recipient) for link in read if link} == wanted
    assert [link.expires for link in read if link] == [NOW + 7 * DAY] * 2
    (token,) = tokens(to_berta)
    link = LINKS.read(token, NOW)
    assert link
    assert (link.item, link.recipient) == (first[1], BERTA)
    commands = [
        line for line in hop.connections[0].split(b"\r\n") if line[:4] in (b"MAIL", b"RCPT")
    ]
    assert commands == [
        b"MAIL FROM:<>",
        b"RCPT TO:<anna@example.org>",
        b"MAIL FROM:<>",
        b"RCPT TO:<berta@example.net>",
    ]
    assert b"To: <anna@example.org>\r\n" in to_anna
    assert b"XFORWARD" not in hop.connections[0]


def test_nobody_is_told_twice(quarantine: Quarantine, kept: Memory) -> None:
    hold(quarantine, ANNA, subject="Erste")
    run(due(quarantine, kept, NOW), kept)
    assert due(quarantine, kept, NOW + DAY) == []
    (new,) = hold(quarantine, ANNA, subject="Zweite")
    (one,) = due(quarantine, kept, NOW + DAY)
    assert [item.id for item in one.newest] == [new]


def test_at_most_one_a_day(quarantine: Quarantine, kept: Memory) -> None:
    hold(quarantine, ANNA)
    run(due(quarantine, kept, NOW), kept)
    hold(quarantine, ANNA)
    assert due(quarantine, kept, NOW + 3600) == []
    assert due(quarantine, kept, NOW + 19 * 3600) == []
    assert len(due(quarantine, kept, NOW + DAY - 3600)) == 1  # a timer may be early
    assert len(due(quarantine, kept, NOW - DAY)) == 1  # a clock that went back stops nobody


def test_only_what_is_still_held(quarantine: Quarantine, kept: Memory, tmp_path: Path) -> None:
    (deleted,) = hold(quarantine, ANNA)
    quarantine.delete(deleted, "anna")
    hold(quarantine, ANNA, state=State.DEFERRED)  # the filter itself delivers it
    (taken,) = hold(quarantine, ANNA)
    (mail,) = (path for path in tmp_path.glob("quarantine/*/new/*") if taken in path.name)
    mail.unlink()  # with a mail client
    assert due(quarantine, kept, NOW) == []


def test_ten_thousand_mails_make_a_short_letter(
    quarantine: Quarantine, kept: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown with fewer: that the newest are listed, and the others count as told."""
    seconds = itertools.count(NOW - 3600)
    monkeypatch.setattr("milter.quarantine.hold.time.time", lambda: next(seconds))
    ids = [hold(quarantine, ANNA, subject=f"Nummer {n}")[0] for n in range(LISTED + 13)]
    (one,) = due(quarantine, kept, NOW)
    assert one.count == len(ids)
    _, hop = run([one], kept)
    (mail,) = hop.mails
    listed = [link.item for token in tokens(mail) if (link := LINKS.read(token, NOW))]
    assert listed == ids[: -LISTED - 1 : -1]  # the newest first
    body = message_from_bytes(mail, policy=policy.default).get_body(("plain",))
    assert body
    assert "... und 13 weitere / and 13 more: https://mail.example.org/review" in body.get_content()
    assert due(quarantine, kept, NOW + DAY) == []
    one.count = 10_000
    assert len(run([one], kept)[1].mails[0]) < 60_000


def test_a_page_at_a_time_nothing_is_missed(
    quarantine: Quarantine, kept: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if all mails came at one moment, and if some go while others are read."""
    monkeypatch.setattr("milter.digest.send._PAGE", 3)
    monkeypatch.setattr("milter.quarantine.hold.time.time", lambda: NOW - 60)
    ids = {hold(quarantine, ANNA)[0] for _ in range(10)}
    monkeypatch.setattr("milter.quarantine.hold.time.time", lambda: NOW - 30)
    ids |= {hold(quarantine, ANNA)[0] for _ in range(10)}
    assert set(due(quarantine, kept, NOW)[0].held) == ids
    find = quarantine.find
    gone = iter(sorted(ids)[:3])

    def found(query: Any) -> Any:
        page = find(query)
        if (item := next(gone, None)) is not None:
            quarantine.delete(item, "anna")
        return page

    monkeypatch.setattr(quarantine, "find", found)
    (one,) = due(quarantine, kept, NOW)
    assert set(one.held) >= set(sorted(ids)[3:])
    assert len(one.held) == len(set(one.held))


REFUSALS = {
    "mail": {"MAIL": b"452 4.3.1 no space\r\n"},
    "rcpt": {"RCPT": b"550 5.1.1 unknown\r\n"},
    "data": {"DATA": b"451 4.3.0 later\r\n"},
    "dot": {"dot": b"451 4.3.0 later\r\n"},
    "drops at mail": {"MAIL": DROP},
    "drops at dot": {"dot": DROP},
    "greets 421": {"greeting": b"421 4.3.2 busy\r\n"},
    "down": {"connect": REFUSE},
}


@pytest.mark.parametrize("fault", REFUSALS)
def test_what_is_refused_is_told_and_tried_again(
    fault: str, quarantine: Quarantine, kept: Memory
) -> None:
    hold(quarantine, ANNA)
    outcome, _ = run(due(quarantine, kept, NOW), kept, REFUSALS[fault])
    assert outcome.sent == 0
    ((recipient, reason),) = outcome.failed
    assert recipient == ANNA
    assert reason
    outcome, hop = run(due(quarantine, kept, NOW + 60), kept)
    assert (outcome.sent, len(hop.mails)) == (1, 1)


def test_one_refusal_does_not_stop_the_others(quarantine: Quarantine, kept: Memory) -> None:
    hold(quarantine, "a@example.org", ANNA, BERTA)
    answers = {"RCPT 1": b"550 5.1.1 unknown\r\n", "dot 1": DROP}
    outcome, hop = run(due(quarantine, kept, NOW), kept, answers)
    assert [recipient for recipient, _ in outcome.failed] == ["a@example.org", ANNA]
    assert outcome.sent == 1
    assert b"To: <berta@example.net>" in hop.mails[-1]


def test_a_next_hop_that_is_down_is_asked_once(quarantine: Quarantine, kept: Memory) -> None:
    hold(quarantine, "a@example.org", ANNA, BERTA)
    outcome, hop = run(due(quarantine, kept, NOW), kept, {"greeting": b"554 5.3.2 no\r\n"})
    assert len(outcome.failed) == 3
    assert len(hop.connections) == 1


def test_an_address_beyond_ascii_needs_smtputf8(quarantine: Quarantine, kept: Memory) -> None:
    hold(quarantine, "jürgen@example.org")
    ehlo = b"250-next.example\r\n250 8BITMIME\r\n"
    outcome, hop = run(due(quarantine, kept, NOW), kept, {"EHLO": ehlo})
    assert outcome.failed[0][1].startswith("553")
    assert b"MAIL" not in hop.connections[0]
    outcome, hop = run(due(quarantine, kept, NOW), kept)
    assert outcome.sent == 1
    assert b"MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<j\xc3\xbcrgen@example.org>" in hop.connections[0]


@pytest.mark.parametrize(
    "recipient",
    ["", "a@example.org> NOTIFY=NEVER", "a@example.org\r\nDATA", "a\tb@x", "\u202ea@x", "a" * 600],
)
def test_a_recipient_that_is_no_address_gets_none(recipient: str, kept: Memory) -> None:
    """Whatever a file of the quarantine says: nothing of it becomes a command or a header field."""
    outcome, hop = run([Due(recipient, count=1)], kept)
    assert outcome.failed == [(recipient, "no digest can be sent to this address")]
    assert b"RCPT" not in hop.connections[0]


def test_a_crash_before_it_is_remembered_sends_twice_never_none(
    quarantine: Quarantine, kept: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(quarantine, ANNA)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kept, "remember", crash)
        with pytest.raises(KeyboardInterrupt):
            run(due(quarantine, kept, NOW), kept)
    outcome, hop = run(due(quarantine, kept, NOW), kept)
    assert (outcome.sent, len(hop.mails)) == (1, 1)


@pytest.mark.parametrize("text", ["", "null", "[]", '{"last": "x", "items": []}', "[" * 5000])
def test_a_damaged_memory_tells_again(
    text: str, quarantine: Quarantine, kept: Memory, tmp_path: Path, caplog: Any
) -> None:
    hold(quarantine, ANNA)
    run(due(quarantine, kept, NOW), kept)
    (path,) = (tmp_path / "review" / memory.FOLDER).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(text)
    assert len(due(quarantine, kept, NOW + DAY)) == 1
    assert "is told of all again" in caplog.text


def test_recipients_do_not_leave_the_folder(
    quarantine: Quarantine, kept: Memory, tmp_path: Path
) -> None:
    for recipient in ("../../etc/passwd", "..", "/etc/passwd", "a" * 400, "."):
        kept.remember(recipient, NOW, ["0123456789abcdef"])
        assert kept.told(recipient).items == {"0123456789abcdef"}
    assert len(list((tmp_path / "review" / memory.FOLDER).iterdir())) == 5
    assert [path.name for path in (tmp_path / "review").iterdir()] == [memory.FOLDER]


def test_two_runs_at_once(kept: Memory, tmp_path: Path) -> None:
    with (
        kept.alone(),
        pytest.raises(StartError, match="another coop-verdict digest"),
        Memory(tmp_path / "review").alone(),
    ):
        pass
    with kept.alone():
        pass


def settings(**sections: Mapping[str, object]) -> Settings:
    return load(None, {"filter": {"hostname": "mx.example.org"}, **sections})


def test_what_the_settings_come_to() -> None:
    assert Form.of(settings()) == Form(
        "coop-verdict@mx.example.org", "http://127.0.0.1:10090", 7, 30
    )
    form = Form.of(settings(review={"url": "https://mail.example.org/review/"}))
    assert form.url == "https://mail.example.org/review"


def test_all_faults_of_the_settings_at_once() -> None:
    for url in ("mail.example.org", "https://a b", 'https://a"b', "https://a\nb", "javascript:x"):
        for sender in ("x", "a@b\r\nBcc: c@d", "Max <a@b.example>", "a@-"):
            with pytest.raises(SettingsError) as refused:
                settings(review={"url": url}, digest={"sender": sender})
            assert len(refused.value.faults) == 2
            assert "[review] url: " in refused.value.faults[0]
            assert "[digest] sender: " in refused.value.faults[1]
    with pytest.raises(SettingsError, match=r"\[review\] url"):
        Form.of(settings(review={"listen": "unix:/run/review"}))


def test_what_it_did_survives_a_kill(quarantine: Quarantine, kept: Memory, tmp_path: Path) -> None:
    """The memory is on the disk before the next recipient's turn: a process that ends there."""
    code = (
        "import os, pathlib, sys\nfrom milter.digest.memory import Memory\n"
        "Memory(pathlib.Path(sys.argv[1])).remember('anna@example.org', 5.0, ['a'])\nos._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "review")], env=os.environ)
    assert done.returncode == 9
    assert kept.told(ANNA).last == 5.0
    (path,) = (tmp_path / "review" / memory.FOLDER).iterdir()
    assert json.loads(path.read_text())["items"] == ["a"]

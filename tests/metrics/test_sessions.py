"""What a sender is told at the end of a mail is counted, whoever says it, whatever went wrong."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from harness.scrape import Metrics, parsed
from smtp import rig
from smtp.scripted_hop import DROP, REFUSE, ScriptedHop

from milter.metrics.counters import Counters, State
from milter.metrics.page import Page
from milter.metrics.sessions import CountedReceiver

MAIL = b"Subject: a\r\n\r\ntext\r\n.\r\n"
STATE = State(sessions=0, sessions_limit=1, workers=1, model="m", armed=False)


def counted(
    hop: ScriptedHop, octets: bytes, patch: pytest.MonkeyPatch, **settings: Any
) -> tuple[bytes, Metrics]:
    """The reply to a mail that is sent as ``octets``, and the metrics then."""
    counters = Counters(1)
    counters.as_worker(0)
    patch.setattr(rig, "Receiver", partial(CountedReceiver, counters))

    async def main() -> bytes:
        async with rig.running(hop, **settings) as running:
            reader, writer = await rig.client_at_data(running.port)
            writer.write(octets)
            reply = await rig.reply_from(reader)
            writer.close()
            return reply

    reply = asyncio.run(main())
    return reply, parsed(Page(counters, lambda: STATE)())


@pytest.mark.parametrize(
    ("answers", "octets", "settings", "reply", "code", "faults"),
    [
        ({}, MAIL, {}, b"250 2.0.0", "2xx", 0),
        ({"dot": b"451 4.7.1 later\r\n"}, MAIL, {}, b"451 4.7.1", "4xx", 0),
        ({"dot": b"550 5.7.1 never\r\n"}, MAIL, {}, b"550 5.7.1", "5xx", 0),
        ({"dot": DROP}, MAIL, {}, b"451 4.4.2", "4xx", 1),
        ({"DATA": DROP}, MAIL, {}, b"451 4.4.1", "4xx", 1),
        ({}, MAIL, {"message_size": 15}, b"452 4.3.4", "4xx", 0),
        ({}, b"a\rb\r\n.\r\n", {"stray_line_ends": "reject"}, b"550 5.5.2", "5xx", 0),
        ({}, MAIL + b"MAIL FROM:<x@y.example>\r\n", {}, b"421 4.7.0", "4xx", 0),
    ],
)
def test_the_end_of_a_mail(
    answers: dict[str, bytes],
    octets: bytes,
    settings: dict[str, Any],
    reply: bytes,
    code: str,
    faults: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, metrics = counted(ScriptedHop(answers), octets, monkeypatch, **settings)
    assert told.startswith(reply)
    replies = {of: metrics["replies_total", of] for of in ("2xx", "4xx", "5xx")}
    assert replies == {**dict.fromkeys(replies, 0), code: 1}
    assert metrics["next_hop_faults_total", ""] == faults
    assert metrics["sessions_total", ""] == 1
    assert metrics["octets_behind_end_total", ""] == (b"MAIL FROM" in octets)


def test_octets_and_time_are_those_of_mails_that_came_in_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for octets, whole in ((MAIL, True), (b"a\rb\r\n.\r\n", False)):
        hop = ScriptedHop()
        _, metrics = counted(hop, octets, monkeypatch, stray_line_ends="reject")
        assert metrics["received_bytes_total", ""] == (len(MAIL) - len(b".\r\n")) * whole
        assert metrics["answer_seconds_count", ""] == whole


def test_a_next_hop_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at MAIL: there is no end of a mail to be answered."""
    counters = Counters(1)
    counters.as_worker(0)
    monkeypatch.setattr(rig, "Receiver", partial(CountedReceiver, counters))

    async def main() -> bytes:
        async with rig.running(ScriptedHop({"connect": REFUSE})) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            await rig.reply_from(reader)
            writer.write(b"HELO c\r\n")
            await rig.reply_from(reader)
            writer.write(b"MAIL FROM:<a@here.example>\r\n")
            reply = await rig.reply_from(reader)
            writer.close()
            return reply

    assert asyncio.run(main()).startswith(b"451 4.4.1")
    metrics = parsed(Page(counters, lambda: STATE)())
    assert metrics["next_hop_faults_total", ""] == 1
    assert sum(metrics["replies_total", of] for of in ("2xx", "4xx", "5xx")) == 0

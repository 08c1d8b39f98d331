"""Released: once, with the envelope that it came with, and with a verdict put right."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest
from quarantine.mails import ANNA, BERT, FAKE, envelope, files, held, ids, mail
from smtp.scripted_hop import ANSWERS, DROP, ScriptedHop

from milter.errors import Busy, NextHopError, NextHopUnsure, NotHeld, QuarantineError
from milter.quarantine import record
from milter.quarantine.store import Quarantine, Query, State
from milter.smtp.command import Address
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import LmtpNextHop, SmtpNextHop, Timeouts
from milter.smtp.reply import Reply

CORRECTED = b"X-Coop-Verdict: none; reason=released; model=2026.11.23-0000000\r\n"


@asynccontextmanager
async def next_hop(
    answers: Mapping[str, bytes] | None = None, kind: type[SmtpNextHop] = SmtpNextHop
) -> AsyncIterator[tuple[SmtpNextHop, ScriptedHop]]:
    """A session to a scripted server."""
    server = ScriptedHop(answers)
    await server.start()
    session = kind(Endpoint("127.0.0.1", server.port, ""), "filter.example", Timeouts())
    try:
        yield session, server
    finally:
        await session.close()
        await server.stop()


def released(
    quarantine: Quarantine, item: str, answers: Mapping[str, bytes] | None = None
) -> tuple[Reply, ScriptedHop]:
    """Release an item to a server with ``answers``."""

    async def release() -> tuple[Reply, ScriptedHop]:
        async with next_hop(answers) as (session, server):
            return await quarantine.release(item, session, "anna"), server

    return asyncio.run(release())


def dialog(server: ScriptedHop) -> list[bytes]:
    """The commands of its first connection, but for the greeting."""
    lines = bytes(server.connections[0]).split(b"\r\n")
    return [line for line in lines if line.startswith((b"MAIL", b"RCPT", b"XFORWARD"))]


def test_a_released_mail_goes_on_with_its_own_envelope(quarantine: Quarantine) -> None:
    sender = envelope("Pitch@Example.org", "SIZE=321 BODY=8BITMIME RET=HDRS ENVID=q1 SMTPUTF8")
    sender.attributes = {b"NAME": b"mail.example.org", b"ADDR": b"192.0.2.7"}
    content = mail("Grüße")
    batch = quarantine.hold(
        [b"X-Coop-Verdict: fake; score=0.97\r\nX-Coop-Clues: x (+1.0)\r\n", content],
        sender,
        [Address(b"<Anna@Example.net>", b"NOTIFY=FAILURE ORCPT=rfc822;a@example.net")],
        FAKE,
    )
    batch.commit()
    reply, server = released(quarantine, batch.ids[0])
    assert str(reply) == "250 2.0.0 Ok: queued as 4F00BA"
    assert dialog(server) == [
        b"XFORWARD NAME=mail.example.org ADDR=192.0.2.7",
        b"MAIL FROM:<Pitch@Example.org> SIZE=321 BODY=8BITMIME RET=HDRS ENVID=q1 SMTPUTF8",
        b"RCPT TO:<Anna@Example.net> NOTIFY=FAILURE ORCPT=rfc822;a@example.net",
    ]
    stuffed = content.replace(b"\r\n.\r\n", b"\r\n..\r\n")
    assert server.mails == [CORRECTED + stuffed]  # no other octet is changed


def test_a_released_mail_is_no_more_here(quarantine: Quarantine, folder: Path) -> None:
    item, other = held(quarantine), held(quarantine, BERT)
    reply, _ = released(quarantine, item)
    assert reply.positive
    assert quarantine.item(item).state is State.RELEASED
    assert (quarantine.item(item).by, quarantine.item(item).reply) == ("anna", str(reply))
    steps = [event.state for event in quarantine.history(item)]
    assert steps == [State.RELEASING, State.SENT_DOT, State.RELEASED]
    assert ids(quarantine) == [other]
    assert len(files(folder)) == 3
    for again in (quarantine.content, lambda item: released(quarantine, item)):
        with pytest.raises(NotHeld, match=r"was released already, .* by anna"):
            again(item)


@pytest.mark.parametrize(
    ("announced", "size"), [(b"250-next.example\r\n250 SIZE\r\n", True), (b"250 x\r\n", False)]
)
def test_size_is_told_to_who_announces_it(
    announced: bytes, size: bool, quarantine: Quarantine
) -> None:
    item = held(quarantine, sender=envelope(parameters="SIZE=99 BODY=8BITMIME"))
    _, server = released(quarantine, item, {"EHLO": announced})
    expected = b" SIZE=99 BODY=8BITMIME" if size else b" BODY=8BITMIME"
    assert dialog(server)[0] == b"MAIL FROM:<pitch@example.org>" + expected


def test_what_needs_smtputf8_waits_for_who_takes_it(quarantine: Quarantine) -> None:
    item = held(quarantine, sender=envelope("jürgen@example.org", "SMTPUTF8"))
    reply, server = released(quarantine, item, {"EHLO": b"250 next.example\r\n"})
    assert (reply.code, dialog(server)) == (553, [])
    assert quarantine.item(item).state is State.HELD


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("answer", [b"451 4.3.0 Later\r\n", b"550 5.7.1 Never\r\n"])
def test_a_refused_mail_is_held_and_says_why(
    stage: str, answer: bytes, quarantine: Quarantine
) -> None:
    item = held(quarantine)
    content = quarantine.content(item)
    reply, _ = released(quarantine, item, {stage: answer})
    assert reply.octets == answer
    shown = quarantine.item(item)
    assert (shown.state, shown.reply) == (State.HELD, answer.decode().strip())
    assert quarantine.content(item) == content
    assert ids(quarantine, Query(states=[State.HELD])) == [item]
    assert released(quarantine, item)[0].positive  # another time


def test_after_a_refusal_the_session_takes_the_next(quarantine: Quarantine) -> None:
    items = [held(quarantine) for _ in range(3)]

    async def release() -> list[int]:
        answers = {"RCPT 2": b"550 5.1.1 Who?\r\n"}
        async with next_hop(answers) as (session, server):
            replies = [await quarantine.release(item, session, "anna") for item in items]
            assert len(server.connections) == 1
            return [reply.code for reply in replies]

    assert asyncio.run(release()) == [250, 550, 250]


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"])
def test_a_next_hop_that_breaks_off_has_nothing(stage: str, quarantine: Quarantine) -> None:
    item = held(quarantine, content=mail() + b"more than all buffers hold\r\n" * 400_000)
    with pytest.raises(NextHopError) as fault:
        released(quarantine, item, {stage: DROP})
    assert not isinstance(fault.value, NextHopUnsure)
    shown = quarantine.item(item)
    assert (shown.state, shown.reply) == (State.HELD, str(fault.value))


def test_behind_the_dot_nobody_knows(quarantine: Quarantine) -> None:
    item = held(quarantine)
    with pytest.raises(NextHopUnsure):
        released(quarantine, item, {"dot": DROP})
    assert quarantine.item(item).state is State.SENT_DOT
    assert "behind our final dot" in quarantine.item(item).reply
    assert ids(quarantine) == [item]  # still there, to be released again or deleted


def test_nobody_listens(quarantine: Quarantine) -> None:
    item = held(quarantine)
    with pytest.raises(NextHopError, match="Connect call failed"):
        released(quarantine, item, {"connect": b"refuse"})
    assert quarantine.item(item).state is State.HELD


def test_two_at_once_deliver_it_once(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)

    async def both() -> tuple[list[object], int]:
        async with next_hop() as (one, server), next_hop() as (other, _):
            gate = server.gates["dot"] = asyncio.Event()
            first = asyncio.create_task(quarantine.release(item, one, "anna"))
            await server.reached["dot"].wait()
            # Another process has its own object, and its own lock.
            second = asyncio.create_task(Quarantine(folder).release(item, other, "bert"))
            await asyncio.wait([second])
            with pytest.raises(Busy, match="just now"):
                quarantine.delete(item, "bert")
            gate.set()
            return await asyncio.gather(first, second, return_exceptions=True), len(server.mails)

    (first, second), delivered = asyncio.run(both())
    assert isinstance(first, Reply)
    assert isinstance(second, Busy)
    assert delivered == 1
    assert [event.by for event in quarantine.history(item)] == ["anna"] * 3


def test_many_at_once_deliver_it_once(quarantine: Quarantine) -> None:
    item = held(quarantine)

    async def many() -> tuple[list[object], int]:
        async with next_hop() as (_, server):
            endpoint = Endpoint("127.0.0.1", server.port, "")
            hops = [SmtpNextHop(endpoint, "filter.example", Timeouts()) for _ in range(8)]
            releases = [quarantine.release(item, hop, "anna") for hop in hops]
            told = await asyncio.gather(*releases, return_exceptions=True)
            for hop in hops:
                await hop.close()
            return list(told), len(server.mails)

    told, delivered = asyncio.run(many())
    assert delivered == 1
    assert sum(isinstance(each, Reply) for each in told) == 1
    assert sum(isinstance(each, Busy | NotHeld) for each in told) == 7


@pytest.mark.parametrize("stage", ["MAIL", "content"])
def test_a_release_that_is_cancelled_can_be_repeated(stage: str, quarantine: Quarantine) -> None:
    item = held(quarantine)

    async def cancelled() -> None:
        async with next_hop() as (session, server):
            server.gates[stage] = asyncio.Event()
            task = asyncio.create_task(quarantine.release(item, session, "anna"))
            await server.reached[stage].wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.gates[stage].set()
            assert server.mails == []

    asyncio.run(cancelled())
    assert quarantine.item(item).state is State.RELEASING
    assert released(quarantine, item)[0].positive


def test_a_mail_taken_out_meanwhile_is_not_released(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    (path,) = (folder / ANNA / "new").iterdir()
    path.unlink()
    with pytest.raises(NotHeld, match="its recipient took it out"):
        released(quarantine, item)
    assert quarantine.history(item) == []


class Full:
    """``record._append`` on a disk that is full at the events number ``at``, counted from one."""

    def __init__(self, *at: int) -> None:
        self._at, self._count, self._real = at, 0, record._append

    def __call__(self, file: int, line: bytes) -> int:
        self._count += 1
        if self._count in self._at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._real(file, line)


@pytest.mark.parametrize(("event", "state"), [(1, State.HELD), (2, State.RELEASING)])
def test_a_disk_that_is_full_before_the_dot_stops_it(
    event: int, state: State, quarantine: Quarantine
) -> None:
    """Without a record of it, no dot goes out."""
    item = held(quarantine)
    mails: list[bytes] = []

    async def release() -> None:
        async with next_hop() as (session, server):
            try:
                await quarantine.release(item, session, "anna")
            finally:
                mails.extend(server.mails)

    full = mock.patch.object(record, "_append", Full(event))
    with full, pytest.raises(QuarantineError, match="No space left on device"):
        asyncio.run(release())
    assert mails == []
    assert quarantine.item(item).state is state
    assert released(quarantine, item)[0].positive


def test_a_disk_that_is_full_behind_the_dot_delivers_once(
    quarantine: Quarantine, folder: Path
) -> None:
    """Removing the mail makes the room that its last event needs."""
    item = held(quarantine)
    with mock.patch.object(record, "_append", Full(3)):
        reply, server = released(quarantine, item)
    assert reply.positive
    assert len(server.mails) == 1
    assert quarantine.item(item).state is State.RELEASED


def test_an_event_that_a_crash_cut_off_counts_for_nothing(
    quarantine: Quarantine, folder: Path
) -> None:
    item = held(quarantine)
    (path,) = (folder / ANNA / "held").iterdir()
    with path.open("ab") as file:
        file.write(b'{"state":"released","time":17640')
    assert quarantine.item(item).state is State.HELD
    assert released(quarantine, item)[0].positive
    assert [event.state for event in quarantine.history(item)][-1] is State.RELEASED


def test_by_lmtp(quarantine: Quarantine) -> None:
    item = held(quarantine)

    async def release() -> bool:
        answers = {"LHLO": ANSWERS["EHLO"]}
        async with next_hop(answers, LmtpNextHop) as (session, _):
            return (await quarantine.release(item, session, "anna")).positive

    assert asyncio.run(release())


@pytest.mark.parametrize("size", [0, 65535, 65536, 200_000, 3_000_000])
def test_a_header_of_any_length_is_put_right(size: int, quarantine: Quarantine) -> None:
    line = b"X-Long: " + b"y" * 990 + b"\r\n"
    content = line * (size // len(line)) + mail() + b"z\r\n" * 40_000
    _, server = released(quarantine, held(quarantine, content=content))
    assert server.mails[0].replace(b"\r\n..", b"\r\n.") == CORRECTED + content


def test_the_log_names_no_address(quarantine: Quarantine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    item = held(quarantine, content=mail("Secret subject"))

    async def release() -> None:
        async with next_hop() as (session, _):
            await quarantine.release(item, session, ANNA)

    asyncio.run(release())
    (line,) = (text for text in caplog.messages if text.startswith("held="))
    assert line == (
        f"held={item} event=release by=example.net reply=250 2.0.0 Ok: queued as 4F00BA"
    )
    assert "anna" not in caplog.text
    assert "Secret" not in caplog.text


def retried(quarantine: Quarantine, item: str, answers: Mapping[str, bytes]) -> ScriptedHop:
    async def retry() -> ScriptedHop:
        async with next_hop(answers) as (session, server):
            await quarantine.retry(item, session)
            return server

    return asyncio.run(retry())


def test_what_was_deferred_goes_on_as_it_is(quarantine: Quarantine) -> None:
    item = held(quarantine, state=State.DEFERRED)
    held(quarantine)
    content = quarantine.content(item).replace(b"\r\n.\r\n", b"\r\n..\r\n")
    assert quarantine.deferred() == [item]
    retried(quarantine, item, {"MAIL": b"451 4.3.0 Later\r\n"})
    assert quarantine.deferred() == [item]
    with pytest.raises(NextHopUnsure):
        retried(quarantine, item, {"dot": DROP})
    assert quarantine.deferred() == [item]
    assert retried(quarantine, item, {}).mails == [content]
    assert quarantine.deferred() == []
    assert quarantine.item(item).by == "the filter"


def test_what_was_deferred_and_is_refused_for_good_is_held(quarantine: Quarantine) -> None:
    item = held(quarantine, state=State.DEFERRED)
    retried(quarantine, item, {"RCPT": b"550 5.1.1 Who?\r\n"})
    assert quarantine.deferred() == []
    assert quarantine.item(item).state is State.HELD
    assert quarantine.item(item).reply == "550 5.1.1 Who?"

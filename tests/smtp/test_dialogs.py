"""Every talk in ``tests/dialogs`` held with a running filter; the format is in its README."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from smtp import rig
from smtp.octets import has_stray
from smtp.scripted_hop import ScriptedHop
from smtp.talk import Step, Talk, read

DIALOGS = Path(__file__).parent.parent / "dialogs"
TALKS = [read(path) for path in sorted(DIALOGS.glob("*.smtp"))]
CASES = [
    pytest.param(talk, arrangement, id=f"{talk.path.stem}, {arrangement}")
    for talk in TALKS
    for arrangement in talk.arrangements
]


class Client:
    """The sender's side: does the steps of a talk one by one and says which one went wrong."""

    def __init__(
        self, talk: Talk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._talk = talk
        self._reader = reader
        self._writer = writer
        self._held = b""  # lines that go out together with the next one

    async def play(self) -> None:
        for step in self._talk.steps:
            await self._do(step)
        if not self._writer.is_closing():
            await self._nothing_left()

    async def _do(self, step: Step) -> None:
        match step.kind:
            case "C+":
                self._held += step.octets
            case "C:" | "C=":
                self._writer.write(self._held + step.octets)
                self._held = b""
            case "C closes":
                self._writer.close()
            case "C half-closes":
                self._writer.write_eof()
            case "S closes":
                self._same(step, await self._line(), b"")
            case "S*":
                await self._whole_reply(step)
            case _:
                self._check(step, await self._line())

    def _check(self, step: Step, line: bytes) -> None:
        text = line.removesuffix(b"\r\n")
        if step.kind == "S:":
            self._same(step, text[: len(step.octets)], step.octets, line)
        elif step.kind == "S=":
            self._same(step, text, step.octets)
        elif not re.fullmatch(step.octets, text):
            pytest.fail(f"{self._place(step)}: {line!r} does not match {step.octets!r}")

    async def _whole_reply(self, step: Step) -> None:
        while (line := await self._line())[3:4] == b"-":
            self._same(step, line[:3], step.octets, line)
        self._same(step, line[:3], step.octets, line)

    async def _line(self) -> bytes:
        try:
            return await asyncio.wait_for(self._reader.readline(), rig.PATIENCE)
        except TimeoutError:
            return b"(nothing was said)"
        except ConnectionError:
            return b""

    async def _nothing_left(self) -> None:
        """The filter must not have said more than the talk has, and must let go of us."""
        self._writer.write_eof()
        rest = await asyncio.wait_for(self._reader.read(), rig.PATIENCE)
        assert rest == b"", f"{self._talk.path.name}: said behind the talk's end"
        self._writer.close()

    def _same(self, step: Step, got: bytes, wanted: bytes, line: bytes | None = None) -> None:
        assert got == wanted, f"{self._place(step)}: the filter said {line or got!r}"

    def _place(self, step: Step) -> str:
        return f"{self._talk.path.name}:{step.number}"


async def hold(talk: Talk, arrangement: str) -> ScriptedHop:
    """Hold one talk; returns the next hop with what it received."""
    hop = ScriptedHop(talk.answers)
    settings = {"before_queue": arrangement == "before-queue", **talk.settings}
    timeouts = replace(rig.PATIENT, **talk.timeouts)
    async with rig.running(hop, timeouts=timeouts, **settings) as running:
        streams = await asyncio.open_connection("127.0.0.1", running.port)
        try:
            await Client(talk, *streams).play()
        finally:
            streams[1].close()
    return hop


@pytest.mark.parametrize(("talk", "arrangement"), CASES)
def test_talk(talk: Talk, arrangement: str) -> None:
    hop = asyncio.run(hold(talk, arrangement))
    received = [bytes(octets) for octets in hop.connections]
    assert not any(has_stray(octets) for octets in received), "a stray CR, LF or NUL went out"
    if talk.received is None:
        assert hop.mails == [], "a mail went out that the talk does not tell of"
    else:
        assert received == talk.received


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.path.stem)
def test_talk_says_why(talk: Talk) -> None:
    assert talk.path.read_text("utf-8").startswith("# "), "a talk opens with the reason for it"


def test_there_are_talks() -> None:
    assert len(TALKS) >= 60  # an empty folder would pass every test above

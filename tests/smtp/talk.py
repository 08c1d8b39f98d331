"""Reads SMTP talks; ``tests/dialogs/README.md`` tells the format."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from smtp.octets import unescape

_OPTION = re.compile(r"(arrangement|setting|(?:reply|final) timeout|next hop at [^:]+): (.+)")
_STEP = re.compile(r"([CSN])([:+=~*]) ?(.*)")
_EVENTS = frozenset({"C closes", "C half-closes", "S closes"})
_BOTH = ("before-queue", "after-queue")
_READ_SETTING = {
    "message_size": int,
    "memory": int,
    "errors": int,
    "commands": int,
    "idle": float,
    "stray_line_ends": str,
    "xforward_peers": lambda text: tuple(ip_network(word) for word in text.split()),
}

# What "up to DATA" stands for: each command, and the code that it must be answered with.
_USUAL = (
    ("EHLO", "EHLO client.example", "250"),
    ("MAIL", "MAIL FROM:<a@here.example>", "250"),
    ("RCPT", "RCPT TO:<b@there.example>", "250"),
    ("DATA", "DATA", "354"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a talk: ``kind`` is its mark, ``octets`` what stands behind it."""

    number: int
    kind: str
    octets: bytes = b""


@dataclass(slots=True)
class Talk:
    """A talk as read. ``received`` has the next hop's octets for each connection, None if open."""

    path: Path
    arrangements: tuple[str, ...] = _BOTH
    settings: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    timeouts: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    received: list[bytes] | None = None


def read(path: Path) -> Talk:
    """Read a talk; a line that is none raises ``ValueError`` with its place."""
    talk = Talk(path)
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            _take(talk, number, line)
    return talk


def _take(talk: Talk, number: int, line: str) -> None:
    if option := _OPTION.fullmatch(line):
        _take_option(talk, *option.groups())
    elif line.startswith(("up to ", "N up to ")):
        _take_usual(talk, number, line)
    elif line in _EVENTS:
        talk.steps.append(Step(number, line))
    elif line == "N connects":
        talk.received = [*(talk.received or []), b""]
    elif step := _STEP.fullmatch(line):
        _take_step(talk, number, *step.groups())
    else:
        raise ValueError(f"{talk.path.name}:{number}: what is {line!r}?")


def _take_option(talk: Talk, name: str, value: str) -> None:
    if name == "arrangement":
        assert value in _BOTH, value
        talk.arrangements = (value,)
    elif name == "setting":
        key, _, text = value.partition(" = ")
        talk.settings[key] = _READ_SETTING[key](text)
    elif name.endswith(" timeout"):
        talk.timeouts[name.removesuffix(" timeout")] = float(value)
    else:
        stage = name.removeprefix("next hop at ")
        answer = unescape(value)
        if answer not in (b"drop", b"silent", b"refuse"):
            answer = talk.answers.get(stage, b"") + answer + b"\r\n"
        talk.answers[stage] = answer


def _take_usual(talk: Talk, number: int, line: str) -> None:
    """``up to MAIL``: the beginning that most talks share."""
    last = line.rpartition(" ")[2]
    names = [name for name, _, _ in _USUAL]
    ours = line.startswith("up to ")
    if ours:
        talk.steps.append(Step(number, "S*", b"220"))
    for name, command, code in _USUAL[: names.index(last) + 1]:
        if ours:
            talk.steps.append(Step(number, "C:", command.encode() + b"\r\n"))
            talk.steps.append(Step(number, "S*", code.encode()))
        else:
            _expect(
                talk, (b"EHLO filter.example" if name == "EHLO" else command.encode()) + b"\r\n"
            )


def _take_step(talk: Talk, number: int, who: str, mark: str, text: str) -> None:
    octets = text.encode() if mark == "~" else unescape(text)
    if who in "CN" and mark in ":+":
        octets += b"\r\n"
    if who == "N":
        _expect(talk, octets)
    else:
        talk.steps.append(Step(number, who + mark, octets))


def _expect(talk: Talk, octets: bytes) -> None:
    if talk.received is None:
        talk.received = [b""]
    talk.received[-1] += octets

"""Mails to be read, and what is marked in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from milter.review.marks import Reading, Segment


def mail(body: str, subject: str = "Hello", kind: str = "text/plain", more: str = "") -> bytes:
    head = f"Subject: {subject}\r\n{more}Content-Type: {kind}; charset=utf-8\r\n\r\n"
    return (head + body).encode("utf-8", "surrogatepass")


def text(segments: Iterable[Segment]) -> str:
    return "".join(segment.text for segment in segments)


def kinds(segments: Iterable[Segment]) -> list[tuple[str, str, str]]:
    """What is marked: kind, title and text of each segment that is more than text."""
    return [(one.kind, one.title, one.text) for one in segments if one.kind]


def shown(reading: Reading) -> set[str]:
    """The asks and offers that have a mark of their own."""
    found = [*reading.subject, *reading.body]
    return {f"{one.kind} {one.title}" for one in found if one.kind in ("ask", "offer")}


def mentioned(reading: Reading) -> set[str]:
    return {name for one in (*reading.subject, *reading.body) for name in one.also}


def named(asks: Sequence[str], offers: Sequence[str]) -> set[str]:
    return {*(f"ask {name}" for name in asks), *(f"offer {name}" for name in offers)}

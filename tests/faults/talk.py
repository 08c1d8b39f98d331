"""One SMTP session with the filter, step by step."""

from __future__ import annotations

import smtplib

from harness.filter import RunningFilter
from spam.tiny import FAKE


def send(running: RunningFilter) -> tuple[int, bytes]:
    """Send a mail; the last reply."""
    with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
        to_data(client)
        client.send(FAKE + b".\r\n")
        return client.getreply()


def to_data(client: smtplib.SMTP) -> None:
    client.ehlo("c")
    client.docmd("MAIL FROM:<a@here.example>")
    client.docmd("RCPT TO:<b@there.example>")
    assert client.docmd("DATA")[0] == 354


def said(reply: tuple[int, bytes]) -> str:
    return f"{reply[0]} {reply[1].decode()}"


def up_to(client: smtplib.SMTP, stage: str) -> None:
    """Go on with the session as far as ``stage``."""
    steps = [
        ("ehlo", lambda: client.ehlo("c")),
        ("mail", lambda: client.docmd("MAIL FROM:<a@here.example>")),
        ("rcpt", lambda: client.docmd("RCPT TO:<b@there.example>")),
        ("data", lambda: client.docmd("DATA")),
        ("content", lambda: client.send(FAKE[:40])),
    ]
    for name, step in steps:
        step()
        if name == stage:
            return


def from_there(client: smtplib.SMTP, stage: str) -> tuple[int, bytes]:
    """The rest of the session behind ``stage``; the reply to the final dot."""
    if stage == "mail":
        client.docmd("RCPT TO:<b@there.example>")
    if stage in ("mail", "rcpt"):
        client.docmd("DATA")
    client.send((FAKE[40:] if stage == "content" else FAKE) + b".\r\n")
    return client.getreply()

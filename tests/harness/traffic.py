"""Senders who send all the time, and remember what was accepted."""

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import SMTP

# Seconds between two mails of a sender: always one under way, and time left to learn.
_PAUSE = 0.4
_TEXT = """\
Liebe Nachbarn,

am Samstag um zehn fegen wir wieder den Hof. Wer einen Besen hat, bringt ihn mit; Kaffee gibt es
wie immer bei Frau Lindner im Erdgeschoss. Bei Regen treffen wir uns eine Woche später.

Bis dahin
Uwe aus dem dritten Stock
"""


class Sender(threading.Thread):
    """Sends a wanted mail again and again; ``kept``: over one connection, else each over its own.

    ``accepted``: the Message-IDs of those that were answered 250; ``fault``: what ended it.
    """

    def __init__(self, name: str, port: int, recipient: str, kept: bool) -> None:
        super().__init__(name=name)
        self._port, self._recipient, self._kept = port, recipient, kept
        self._enough = threading.Event()
        self.accepted: list[str] = []
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._connection()
        except (smtplib.SMTPException, OSError) as error:
            self.fault = error

    def _connection(self) -> None:
        with smtplib.SMTP("127.0.0.1", self._port, timeout=30) as client:
            self._mail(client)
            while self._kept and not self._enough.is_set():
                self._mail(client)

    def _mail(self, client: smtplib.SMTP) -> None:
        message_id = f"<{self.name}-{len(self.accepted)}@example.org>"
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"] = "Uwe <uwe@example.org>", self._recipient
        mail["Subject"], mail["Message-ID"] = "Hofputz am Samstag", message_id
        mail.set_content(_TEXT)
        client.sendmail("uwe@example.org", [self._recipient], mail.as_bytes())
        self.accepted.append(message_id)
        self._enough.wait(_PAUSE)

    def finish(self) -> None:
        self._enough.set()
        self.join(timeout=60)


@contextmanager
def traffic(*senders: Sender) -> Iterator[None]:
    """Let ``senders`` send until the block ends; then nobody was refused or cut off."""
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        for sender in senders:
            sender.finish()
    faults = {sender.name: sender.fault for sender in senders if sender.fault}
    assert not faults, faults

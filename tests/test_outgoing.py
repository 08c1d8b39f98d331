"""Outgoing mail: nothing that the filter does beside handing it on may change its reply."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from milter.maildir import MaildirNextHop, prepare
from milter.outgoing import Outgoing
from milter.smtp.command import Address
from milter.smtp.content import Content
from milter.smtp.envelope import Envelope, Transaction
from milter.smtp.reply import Reply
from milter.trust.memory import Memory
from milter.trust.senders import Senders
from milter.trust.trust import Trust

MAIL = b"From: owner@example.net\r\nSubject: Hello\r\n\r\nHello\r\n"
FRIEND = "anna@example.org"


class _ThenBroken(MaildirNextHop):
    """Takes a mail; from then on the disk that its content waits on cannot be read."""

    def __init__(self, folder: Path, content: Content, patch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self._content, self._patch = content, patch

    async def deliver(self, pieces: Iterable[bytes]) -> Reply:
        reply = await super().deliver(pieces)
        self._patch.setattr(self._content, "head", _broken, raising=False)
        return reply


def _broken(size: int) -> bytes:
    raise OSError(errno.EIO, "Input/output error")


def test_a_mail_that_was_taken_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its sender would send it again."""
    prepare(tmp_path / "mail")
    memory = Memory(tmp_path / "state")
    with closing(Content(1 << 20)) as content, closing(memory):
        content.write(MAIL)
        recipients = [Address(f"<{FRIEND}>".encode(), b"")]
        mail = Transaction(Envelope(Address(b"<owner@example.net>", b""), recipients), content, 0)
        next_hop = _ThenBroken(tmp_path / "mail", content, monkeypatch)
        route = Outgoing(Trust(Senders((), ()), memory, None))
        assert asyncio.run(route(mail, next_hop)).positive
        assert memory.knows(FRIEND)

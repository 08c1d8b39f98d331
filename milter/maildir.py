"""Delivery into a Maildir: the embedded default, for trying the filter with no mail server.

A mail is written under ``tmp``, fsynced, renamed into ``new``, and the folder fsynced, before the
reply says 250 (https://cr.yp.to/proto/maildir.html). Octets are stored as they are, CRLF included.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from milter import durable
from milter.errors import NextHopError, StartError
from milter.smtp import reply as r
from milter.smtp.command import Address
from milter.smtp.reply import Reply

_serial = itertools.count()


def prepare(folder: Path) -> None:
    """Make ``folder`` a Maildir that can be written; raises ``StartError`` where it cannot."""
    try:
        for name in ("tmp", "new", "cur"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / "tmp" / unique_name()
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StartError(
            f"the Maildir {folder} cannot be written: {error.strerror}. "
            "Give its folder to the filter's user, or name another one under [next_hop] maildir."
        ) from error


def store(folder: Path, pieces: Iterable[bytes]) -> Path:
    """Write one mail; on return it is on disk. Raises ``OSError`` and leaves nothing behind."""
    name = unique_name()
    temporary = folder / "tmp" / name
    try:
        durable.write(temporary, pieces)
        return _publish(temporary, folder / "new" / name)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _publish(temporary: Path, final: Path) -> Path:
    temporary.rename(final)
    durable.fsync_folder(final.parent)
    return final


def unique_name(mark: str = "") -> str:
    """Time, process, serial number, host: unique as the Maildir page asks for.

    ``mark``: letters and digits to find the file by, whatever flags its name gets.
    """
    now = time.time_ns()
    host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")
    seconds, rest = divmod(now, 1_000_000_000)
    return f"{seconds}.M{rest // 1000:06d}P{os.getpid()}Q{next(_serial)}{mark}.{host}"


class MaildirNextHop:
    """Takes any sender and recipient and stores each mail once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.capabilities: Mapping[bytes, bytes] = {
            b"8BITMIME": b"",
            b"SMTPUTF8": b"",
            b"ENHANCEDSTATUSCODES": b"",
        }

    async def open(self) -> None:
        """Nothing to connect to."""

    async def mail(self, sender: Address, client: Mapping[bytes, bytes]) -> Reply:
        """Any sender."""
        return r.OK

    async def rcpt(self, recipient: Address) -> Reply:
        """Any recipient."""
        return r.OK

    async def deliver(self, pieces: Iterable[bytes]) -> Reply:
        """Store the mail, in a thread because fsync waits for the disk."""
        try:
            await asyncio.to_thread(store, self._folder, pieces)
        except OSError as error:
            raise NextHopError(f"Maildir {self._folder}: {error.strerror}") from error
        return r.OK

    async def reset(self) -> None:
        """Nothing is begun before the mail is whole."""

    async def close(self) -> None:
        """Nothing is open."""

"""A mail's content while the filter holds it: in memory while small, in a file beyond that.

The file has no name (it is unlinked at once), lies in the system's folder for temporary files
(``TMPDIR``), and is gone with the process. It is no queue: as long as the filter has not answered
250, the sender has the mail.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO

_PIECE = 65536  # octets a read, when it goes on to the next hop


class Content:
    """The octets of one mail, lines that end in CRLF. ``memory``: octets that stay in memory.

    ``write`` and reading raise ``OSError`` where the disk fails.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._held: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0

    def of_same_kind(self, octets: bytes) -> Content:
        """Content of its own with ``octets``, held as this one is."""
        content = Content(self._memory)
        content.write(octets)
        return content

    def write(self, octets: bytes) -> None:
        """Append."""
        if self._file:
            self._file.write(octets)
        else:
            self._held.append(octets)
            if self.size + len(octets) > self._memory:
                self._into_file()
        self.size += len(octets)

    def head(self, size: int) -> bytes:
        """The first ``size`` octets, or all there are."""
        if not self._file:
            return self._in_memory()[:size]
        self._file.seek(0)
        return self._file.read(size)

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The octets from ``start`` on, piece by piece."""
        if not self._file:
            octets = self._in_memory()
            for at in range(start, len(octets), _PIECE):
                yield octets[at : at + _PIECE]
            return
        self._file.seek(start)
        while piece := self._file.read(_PIECE):
            yield piece

    def close(self) -> None:
        """Free memory and disk; never raises."""
        self._held = []
        if self._file:
            with suppress(OSError):  # a full disk fails once more when its file is closed
                self._file.close()

    def _in_memory(self) -> bytes:
        """All octets in one piece: a small mail is never copied on its way."""
        if len(self._held) != 1:
            self._held = [b"".join(self._held)]
        return self._held[0]

    def _into_file(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close
        self._file.writelines(self._held)
        self._held = []

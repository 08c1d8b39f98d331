"""A mail's content while the filter holds it: in memory while small, in a file beyond that.

The file has no name (it is unlinked at once), lies in the system's folder for temporary files
(``TMPDIR``), and is gone with the process. It is no queue: as long as the filter has not answered
250, the sender has the mail.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress

_PIECE = 65536  # octets a read, when it goes on to the next hop


class Content:
    """The octets of one mail, lines that end in CRLF. ``memory``: octets that stay in memory.

    ``write`` and reading raise ``OSError`` where the disk fails.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._file = tempfile.SpooledTemporaryFile(max_size=memory)  # noqa: SIM115 (closed by close)
        self.size = 0

    def of_same_kind(self, octets: bytes) -> Content:
        """Content of its own with ``octets``, held as this one is."""
        content = Content(self._memory)
        content.write(octets)
        return content

    def write(self, octets: bytes) -> None:
        """Append."""
        self._file.write(octets)
        self.size += len(octets)

    def head(self, size: int) -> bytes:
        """The first ``size`` octets, or all there are."""
        self._file.seek(0)
        return self._file.read(size)

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """The octets from ``start`` on, piece by piece."""
        self._file.seek(start)
        while piece := self._file.read(_PIECE):
            yield piece

    def close(self) -> None:
        """Free memory and disk; never raises."""
        with suppress(OSError):  # a full disk fails once more when its file is closed
            self._file.close()

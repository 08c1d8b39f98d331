"""Where to listen and where to connect: ``HOST:PORT``, ``inet:HOST:PORT`` or ``unix:PATH``.

A next hop may be ``lmtp:`` and one of these.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from functools import partial

from milter.smtp.wire import Wire

_INET = re.compile(
    r"(?:inet:)?(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^:\[\]\s]+)):(?P<port>\d+)"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP address (``host`` and ``port``) or a Unix socket (``path``); is LMTP spoken there?"""

    host: str = ""
    port: int = 0
    path: str = ""
    lmtp: bool = False

    @classmethod
    def parse_next_hop(cls, text: str) -> Endpoint:
        """Read a next hop, which may begin with ``lmtp:``."""
        return replace(cls.parse(text.removeprefix("lmtp:")), lmtp=text.startswith("lmtp:"))

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """Read an endpoint; raises ``ValueError`` with a sentence that says what is expected."""
        if text.startswith("unix:") and len(text) > len("unix:"):
            return cls(path=text.removeprefix("unix:"))
        match = _INET.fullmatch(text)
        if not match or int(match["port"]) > 65535:
            raise ValueError(
                f"{text!r} is not an endpoint: write HOST:PORT, [IPV6]:PORT or unix:PATH"
            )
        return cls(host=match["v6"] or match["host"], port=int(match["port"]))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def connect(self, until: float) -> Wire:
        """Open a connection to it before ``until`` (the loop's time); raises ``OSError``."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout_at(until):
            if self.path:
                _, wire = await loop.create_unix_connection(partial(Wire, loop), self.path)
            else:
                _, wire = await loop.create_connection(partial(Wire, loop), self.host, self.port)
        return wire

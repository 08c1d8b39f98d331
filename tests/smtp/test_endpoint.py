"""Endpoints as they stand in the settings."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from milter.smtp.endpoint import Endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:10025", Endpoint("127.0.0.1", 10025)),
        ("inet:127.0.0.1:10025", Endpoint("127.0.0.1", 10025)),
        ("filter.example:25", Endpoint("filter.example", 25)),
        ("localhost:0", Endpoint("localhost", 0)),
        ("localhost:65535", Endpoint("localhost", 65535)),
        ("[::1]:10025", Endpoint("::1", 10025)),
        ("unix:/var/spool/filter", Endpoint(path="/var/spool/filter")),
        ("unix:private/filter", Endpoint(path="private/filter")),
    ],
    ids=str,
)
def test_parse(text: str, endpoint: Endpoint) -> None:
    assert Endpoint.parse(text) == endpoint


def test_ipv6_with_a_zone() -> None:
    """A link-local address needs its interface (RFC 4007 section 11)."""
    assert Endpoint.parse("[fe80::1%eth0]:25") == Endpoint("fe80::1%eth0", 25)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "10025",
        ":10025",
        "localhost",
        "localhost:",
        "localhost:smtp",
        "localhost:65536",
        "localhost:-1",
        "::1:10025",
        "[::1]",
        "[localhost]:25",
        "local host:25",
        "localhost:25 ",
        "localhost:25\n",
        "smtp:localhost:25",
    ],
)
def test_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match=r"write HOST:PORT, \[IPV6\]:PORT or unix:PATH"):
        Endpoint.parse(text)


@pytest.mark.parametrize("text", ["127.0.0.1:25", "[::1]:25", "unix:/run/filter", "a.example:1"])
def test_text_is_read_back(text: str) -> None:
    assert str(Endpoint.parse(text)) == text
    assert Endpoint.parse(str(Endpoint.parse(text))) == Endpoint.parse(text)


def test_connect_to_a_socket_file(tmp_path: Path) -> None:
    async def talk() -> bytes:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 x\r\n")
            writer.close()

        server = await asyncio.start_unix_server(greet, tmp_path / "s")
        wire = await Endpoint.parse(f"unix:{tmp_path}/s").connect(until=math.inf)
        greeting = await wire.read(until=math.inf)
        wire.close()
        server.close()
        return greeting

    assert asyncio.run(talk()) == b"220 x\r\n"


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        asyncio.run(Endpoint(path=f"{tmp_path}/none").connect(until=math.inf))

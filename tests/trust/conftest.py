"""Senders that are known: mails of theirs, and a real name server with their keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.dns import NameServer, running_dns, txt
from trust.rig import (
    BAD,
    GOOD,
    SERVFAIL,
    UNSIGNED,
    Rig,
)
from trust.signing import MAIL, KeyPair, key_pair, sign, signed


@pytest.fixture(scope="module")
def keys() -> dict[str, KeyPair]:
    return {"good": key_pair(1024)}


@pytest.fixture(scope="module")
def name_server(keys: dict[str, KeyPair]) -> Iterator[NameServer]:
    record = f"good._domainkey TXT {txt('v=DKIM1; p=' + keys['good'].public)}"
    with running_dns({"author.example": record, "foreign.example": record}) as server:
        yield server


@pytest.fixture
def mails(keys: dict[str, KeyPair]) -> dict[str, bytes]:
    good = signed(MAIL, (sign(),), keys)
    return {
        GOOD: good,
        BAD: good.replace(b"1,200", b"9,200"),
        UNSIGNED: MAIL,
        # a zone that the server does not have: it refuses to answer
        SERVFAIL: signed(MAIL, (sign(d="example"),), keys),
        "foreign": signed(MAIL, (sign(d="foreign.example"),), keys),
        "two authors": b"From: evil@foreign.example\r\n" + good,
    }


@pytest.fixture
def rig(tmp_path: Path, name_server: NameServer):
    """Makes one with the settings that are given."""
    return lambda **settings: Rig(tmp_path, (name_server.address,), **settings)

"""A private name server (NSD) with the zones that a test wants, and one that never answers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.ports import free_port, listens, wait_until
from harness.postfix import need

_CONF = """
server:
  ip-address: 127.0.0.1
  port: {port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{run}"
  xfrdir: "{run}"
  xfrdfile: "{run}/xfrd"
  zonelistfile: "{run}/zones"
  pidfile: "{run}/pid"
  logfile: "{run}/log"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
"""
_ZONE = """
$ORIGIN {name}.
$TTL 60
@ SOA ns.{name}. host.{name}. 1 3600 600 86400 45
@ NS ns.{name}.
ns A 127.0.0.1
{records}
"""
#: In place of a zone's records: it cannot be loaded, and the server answers SERVFAIL.
BROKEN = "this is no record"


@dataclass(frozen=True)
class NameServer:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        """As the settings name it."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it before its time; questions to it are refused from now on."""
        self.process.terminate()
        self.process.wait()
        wait_until(lambda: not listens(self.port), "NSD down")


@contextmanager
def running_dns(zones: Mapping[str, str]) -> Iterator[NameServer]:
    """A server with ``zones``: by name, the records of each (TTL 60, "there is none": 45)."""
    need("nsd", "nsd")
    run = Path(tempfile.mkdtemp(prefix="coop-dns-"))
    server_conf = _CONF.format(run=run, port=(port := free_port()))
    for name, records in zones.items():
        server_conf += f"zone:\n  name: {name}\n  zonefile: {name}.zone\n"
        (run / f"{name}.zone").write_text(_ZONE.format(name=name, records=records))
    (run / "conf").write_text(server_conf)
    try:
        with subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", str(run / "conf")]) as process:
            try:
                wait_until(lambda: listens(port), "NSD up")
                yield NameServer(port, process)
            finally:
                process.terminate()
    finally:
        shutil.rmtree(run, ignore_errors=True)


def txt(text: str) -> str:
    """A TXT record's data: strings of 200 octets and fewer."""
    return " ".join(f'"{text[at : at + 200]}"' for at in range(0, max(len(text), 1), 200))


class SilentServer:
    """A name server that takes every question and answers none: no real one does so on demand."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound

    @property
    def address(self) -> str:
        """As the settings name it."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def questions(self) -> list[bytes]:
        """Those that have come since this was asked last, as they came."""
        came = []
        with suppress(BlockingIOError):
            while question := self._socket.recv(4096):
                came.append(question)
        return came


@contextmanager
def silent_dns() -> Iterator[SilentServer]:
    """A ``SilentServer`` until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.setblocking(False)
        yield SilentServer(bound)

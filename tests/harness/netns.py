"""Machines on a network of their own: network namespaces, joined by a bridge (iproute2).

The bridge has a namespace to itself, so that nothing of it is seen on this machine, and no firewall
or address of this machine's reaches into it. Names have a random part: two runs do not meet.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.postfix import need

#: Within a machine, its end of the wire.
INTERFACE = "eth0"
_NAMES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # setns(2)
_PATIENCE = 40.0  # seconds; the filter takes up to 30 to let its mails finish
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Machine:
    """A namespace: its full name, its address, and the name of its wire's end at the bridge."""

    name: str
    address: str
    _wire: str
    _switch: str

    def run(self, *command: str | Path) -> str:
        """Run ``command`` on it to its end; what it says. Fails with what it complains of."""
        return _run("ip", "netns", "exec", self.name, *command)

    def start(self, command: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
        """Start ``command`` on it; its process id is the command's own."""
        with log.open("ab") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command], stdout=output, stderr=output
            )

    @contextmanager
    def started(
        self, command: Sequence[str | Path], log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The same, ended with the block."""
        process = self.start(command, log)
        try:
            yield process
        finally:
            end(process)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What this thread does and starts within the block is done on that machine."""
        with Path("/proc/thread-self/ns/net").open("rb") as home:
            with (_NAMES / self.name).open("rb") as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def unplug(self) -> None:
        """Cut it off: what is sent to it or by it vanishes, and nobody is told."""
        _run("ip", "-n", self._switch, "link", "set", self._wire, "down")

    def plug(self) -> None:
        """Join it to the others (again)."""
        _run("ip", "-n", self._switch, "link", "set", self._wire, "up")

    def throttle(self, megabits: float) -> None:
        """Let it send no more than so many megabits a second (tc-tbf(8))."""
        rate = ["rate", f"{megabits}mbit", "burst", "32kb", "latency", "400ms"]
        _run("tc", "-n", self.name, "qdisc", "add", "dev", INTERFACE, "root", "tbf", *rate)


@contextmanager
def network(addresses: Mapping[str, str]) -> Iterator[dict[str, Machine]]:
    """A machine for each name in ``{name: address}``, all in one /24; gone after the block."""
    need("ip", "iproute2")
    mark = f"coop-{secrets.token_hex(3)}"
    with ExitStack() as made:
        switch = made.enter_context(_namespace(f"{mark}-switch"))
        _run("ip", "-n", switch, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", switch, "link", "set", "bridge", "up")
        machines = {}
        for name, address in addresses.items():
            full = made.enter_context(_namespace(f"{mark}-{name}"))
            machines[name] = Machine(full, address, name[-15:], switch)
            _join(machines[name])
        yield machines


@contextmanager
def _namespace(name: str) -> Iterator[str]:
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        # Wires, rules and the bridge go with it, as soon as its last process has ended.
        _run("ip", "netns", "delete", name)


def _join(machine: Machine) -> None:
    wire, switch = machine._wire, machine._switch
    ends = [INTERFACE, "netns", machine.name, "type", "veth", "peer", "name", wire, "netns", switch]
    _run("ip", "link", "add", *ends)
    _run("ip", "-n", switch, "link", "set", wire, "master", "bridge")
    _run("ip", "-n", machine.name, "address", "add", f"{machine.address}/24", "dev", INTERFACE)
    _run("ip", "-n", machine.name, "link", "set", INTERFACE, "up")
    machine.plug()


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "setns")


def _run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr or done.stdout}"
    return done.stdout


def end(process: subprocess.Popen[bytes]) -> None:
    """Let it end in the orderly way, or else end it."""
    process.terminate()
    try:
        process.wait(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

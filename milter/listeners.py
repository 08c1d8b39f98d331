"""The sockets on which mail comes in, opened once and shared by all worker processes.

What waits in their backlog is nobody's yet: while a worker ends and another begins, no sender is
refused.
"""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

from milter.config import Settings
from milter.errors import StartError
from milter.smtp.endpoint import Endpoint

log = logging.getLogger(__name__)

#: Connections that may wait to be taken. Where more come at once, some clients take themselves for
#: connected and wait in vain; the system has a bound of its own (net.core.somaxconn, 4096).
BACKLOG = 1024
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - only compared


@dataclass(slots=True)
class Listeners:
    """Listening sockets; a name such as localhost may stand for several addresses."""

    incoming: list[socket.socket] = field(default_factory=list)
    outgoing: list[socket.socket] = field(default_factory=list)
    metrics: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        """Let go of them: nobody waits for a filter that takes no more mail."""
        for listener in self.incoming + self.outgoing + self.metrics:
            listener.close()


def open_listeners(settings: Settings) -> Listeners:
    """Open them, or take what systemd has opened. Raises ``StartError``."""
    inherited = _inherited_socket()
    listeners = Listeners([inherited] if inherited else listen(settings.filter.listen))
    if settings.trust.outgoing:
        listeners.outgoing = listen(Endpoint.parse(settings.trust.outgoing), "[trust] outgoing")
    if settings.metrics.listen:
        listeners.metrics = listen(Endpoint.parse(settings.metrics.listen), "[metrics] listen")
        _warn_of_strangers(listeners.metrics)
    return listeners


def _warn_of_strangers(listeners: list[socket.socket]) -> None:
    if any(listener.getsockname()[0] in _EVERYWHERE for listener in listeners):
        log.warning(
            "[metrics] listen: that is every address of this machine, and whoever reaches one of "
            "them can read the metrics. Name one, or see to it that a firewall lets nobody else in."
        )


def listen(endpoint: Endpoint, setting: str = "--listen") -> list[socket.socket]:
    """Listen on an address, each that its name stands for; raises ``StartError``, which names the
    ``setting`` to change."""
    try:
        return _unix(Path(endpoint.path)) if endpoint.path else _tcp(endpoint)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise StartError(
            f"cannot listen on {endpoint}: {reason}. Is a filter running already, "
            f"or another program on this port? Name another one with {setting}."
        ) from error


def _tcp(endpoint: Endpoint) -> list[socket.socket]:
    found = socket.getaddrinfo(
        endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets = []
    for family, kind, protocol, _, address in dict.fromkeys(found):
        # Named, because asyncio sets TCP_NODELAY only where a socket says that it is TCP.
        listener = socket.socket(family, kind, protocol)
        sockets.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # the IPv4 address has a socket of its own
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    return sockets


def _unix(path: Path) -> list[socket.socket]:
    _remove_stale_socket(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen(BACKLOG)
    return [listener]


def _inherited_socket() -> socket.socket | None:
    """The listener that systemd opened for us (sd_listen_fds(3)), if it did.

    It stays open while one filter ends and the next one starts: senders wait, none is refused.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    return socket.socket(fileno=3)  # systemd's first; family and protocol are read off it


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket file that nobody listens on; it stays behind when a filter is killed."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()

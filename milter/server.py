"""Where everything is built, started and stopped. Importing this opens nothing."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from milter import maildir, tls
from milter.config import Settings
from milter.errors import NextHopError, StartError
from milter.models import ModelInUse
from milter.pipeline import Pipeline
from milter.seen import Index
from milter.smtp import reply
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import LmtpNextHop, NextHop, SmtpNextHop, Timeouts
from milter.smtp.receiver import Receiver, ReceiverSettings

log = logging.getLogger(__name__)

# What accept(2) fails with when something has run out.
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """The filter: a listener, its sessions, and a way to stop without losing a mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        if settings.filter.next_hop == str(settings.filter.listen):
            raise StartError(
                f"[filter] next_hop: {settings.filter.next_hop} is where the filter itself "
                "listens; name the listener behind it, usually 127.0.0.1:10026"
            )
        self.model = ModelInUse(settings.model)
        if not settings.filter.next_hop:
            maildir.prepare(settings.filter.maildir)
        kept = settings.journal
        index = Index(kept.folder, kept.size) if kept.enabled else None
        self._pipeline = Pipeline(self.model, settings.limits.judging, settings.header.clues, index)
        self._sessions: set[Receiver] = set()
        self._quiet_until = 0.0
        self._receiver_settings = ReceiverSettings(
            hostname=settings.hostname,
            before_queue=settings.before_queue,
            stray_line_ends=settings.filter.stray_line_ends,
            xforward_peers=settings.filter.xforward_peers,
            message_size=settings.limits.message_size,
            memory=settings.limits.memory,
            errors=settings.limits.errors,
            commands=settings.limits.commands,
            idle=settings.limits.idle,
            tls=tls.for_senders(settings),
            tls_required=settings.tls.required,
        )
        self._next_hop_tls = tls.for_next_hop(settings)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; ``ready`` is called once mail can come. SIGHUP: reload.

        A newly published model is taken over meanwhile (``milter.models``).
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._loop_fault)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.model.reload)
        listener = await self._listen()
        await self._try_next_hop()
        gc.freeze()  # what lives from here on lives for ever: spare the collector the walk
        watching = asyncio.create_task(self.model.watch())
        ready()
        await stop.wait()
        watching.cancel()
        listener.close()
        await self._drain()

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say in one line, now and then, that descriptors ran out; asyncio tries on by itself."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _USED_UP):
            loop.default_exception_handler(context)
        elif loop.time() >= self._quiet_until:
            self._quiet_until = loop.time() + 10
            log.error(
                "no connection can be taken now: %s. Those that wait are taken later; raise "
                "the limit (LimitNOFILE) or lower [limits] sessions.",
                error.strerror,
            )

    async def _listen(self) -> asyncio.Server:
        endpoint = self._settings.filter.listen
        loop = asyncio.get_running_loop()
        if inherited := _inherited_socket():
            return await loop.create_server(self._session, sock=inherited)
        try:
            if endpoint.path:
                _remove_stale_socket(Path(endpoint.path))
                return await loop.create_unix_server(self._session, endpoint.path)
            return await loop.create_server(self._session, endpoint.host, endpoint.port)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            raise StartError(
                f"cannot listen on {endpoint}: {reason}. Is a filter running already, "
                "or another program on this port? Name another one with --listen."
            ) from error

    def _session(self) -> asyncio.Protocol:
        if len(self._sessions) >= self._settings.limits.sessions:
            log.warning("more than %d sessions: one was refused", self._settings.limits.sessions)
            return _Refusal()
        receiver = Receiver(self._receiver_settings, self.new_next_hop(), self._pipeline)
        self._sessions.add(receiver)
        receiver.on_end = self._sessions.discard
        return receiver

    def new_next_hop(self) -> NextHop:
        """One session's way to the next hop."""
        limits = self._settings.limits
        if not self._settings.filter.next_hop:
            return maildir.MaildirNextHop(self._settings.filter.maildir)
        endpoint = Endpoint.parse_next_hop(self._settings.filter.next_hop)
        client = LmtpNextHop if endpoint.lmtp else SmtpNextHop
        timeouts = Timeouts(limits.connect, limits.reply, limits.final, limits.total)
        return client(endpoint, self._settings.hostname, timeouts, self._next_hop_tls)

    async def _try_next_hop(self) -> None:
        """Say at start what else would only show with the first mail. Postfix may start later."""
        next_hop = self.new_next_hop()
        try:
            await next_hop.open()
        except NextHopError as error:
            log.warning(
                "the next hop cannot be used yet: %s. Until it can, mail is answered 451 "
                "and the sender keeps it.",
                error,
            )
        finally:
            await next_hop.close()

    async def _drain(self) -> None:
        """Let the mails under way finish; then end what is left, and say what that was."""
        for session in list(self._sessions):
            session.leave()
        tasks = [task for session in self._sessions if (task := session.task)]
        if not tasks:
            return
        log.info("stopping: %d sessions finish their mail", len(tasks))
        _, late = await asyncio.wait(tasks, timeout=self._settings.limits.drain)
        for task in late:
            task.cancel()
        if late:
            log.warning("%d sessions were cut off; their senders keep the mail", len(late))
            await asyncio.wait(late, timeout=5)


class _Refusal(asyncio.Protocol):
    """A connection that is one too many: 421 and the end, before anything is set up for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(reply.TOO_MANY_SESSIONS.octets)
        transport.close()


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

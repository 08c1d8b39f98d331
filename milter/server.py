"""Where everything is built, started and stopped. Importing this opens nothing."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from milter import maildir, tls
from milter.config import Settings
from milter.deferred import keep_trying
from milter.delivery import Marking
from milter.errors import NextHopError, StartError
from milter.evidence import Arming
from milter.hops import Ways
from milter.listeners import BACKLOG, Listeners, open_listeners
from milter.metrics import families
from milter.metrics.counters import Counters, State
from milter.metrics.sessions import CountedReceiver
from milter.models import ModelInUse
from milter.outgoing import Outgoing
from milter.pipeline import Pipeline
from milter.quarantine.store import Quarantine
from milter.seen import Index
from milter.smtp import reply
from milter.smtp.connection import Connection
from milter.smtp.next_hop import NextHop
from milter.smtp.receiver import Receiver, ReceiverSettings, Route
from milter.spam.policy import Policy, Wish
from milter.trust.trust import build as build_trust
from milter.workers import Seats, Workers

if TYPE_CHECKING:
    from milter.metrics.site import Site

log = logging.getLogger(__name__)

# What accept(2) fails with when something has run out.
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Server:
    """The filter: a listener, its sessions, and a way to stop without losing a mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        _refuse_circles(settings)
        self.model = ModelInUse(settings.model)
        if not settings.filter.next_hop:
            maildir.prepare(settings.filter.maildir)
        self._ways = Ways(settings, keep=True)
        self._trust = build_trust(settings)
        self._policy = _policy(settings)
        self._quarantine = Quarantine(settings.quarantine.folder, settings.quarantine.group)
        if self._policy.may_hold:
            self._quarantine.prepare()
        self._metrics = Counters(settings.filter.workers) if settings.metrics.listen else None
        self._site: Site | None = None
        self._judged: Callable[..., Receiver] = (
            partial(CountedReceiver, self._metrics) if self._metrics else Receiver
        )
        self._pipeline = self._new_pipeline()
        if self._policy.wants_quarantine:
            self._pipeline.armed(self.model().version)  # says now whether anything will be held
        self._sessions: set[Connection] = set()
        self._seats = Seats(settings.limits.sessions, settings.filter.workers)
        self._number = 0  # which worker this is
        self._listeners = Listeners()
        self._quiet_until = 0.0
        self._receiver_settings = _receiver_settings(settings)

    def _new_pipeline(self) -> Pipeline:
        settings = self._settings
        kept = settings.journal
        return Pipeline(
            bundle=self.model,
            deadline=settings.limits.judging,
            policy=self._policy,
            marking=Marking(settings.header.clues, settings.policy.subject_prefix),
            quarantine=self._quarantine,
            armed=Arming(settings),
            index=Index(kept.folder, kept.size) if kept.enabled else None,
            trust=self._trust,
            metrics=self._metrics,
        )

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT, in as many processes as the settings say.

        ``ready`` is called once mail can come. SIGHUP: reload.
        """
        self._listeners = open_listeners(self._settings)
        self._site = self._metrics_site(self._metrics) if self._metrics else None
        gc.freeze()  # what lives from here on lives for ever: spare the collector the walk
        count = self._settings.filter.workers
        if count == 1:
            self._as_worker(0, ready=ready)
            return
        ready()  # senders wait in the backlog until the first worker is there
        Workers(count, self._as_worker, self._listeners.close, self._worker_died).run()

    def _as_worker(
        self, number: int, life: int | None = None, ready: Callable[[], None] = lambda: None
    ) -> None:
        self._number = number
        self._seats.taken(number, 0)  # one that died has left its number there
        if self._metrics:
            self._metrics.as_worker(number)
        asyncio.run(self._serve(ready, life))

    def _worker_died(self) -> None:
        if self._metrics:
            self._metrics.restarted()

    async def _serve(self, ready: Callable[[], None], life: int | None = None) -> None:
        """Serve in this process. The filter ends, too, when ``life``, a pipe, is closed.

        A newly published model is taken over meanwhile (``milter.models``).
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._loop_fault)
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGHUP, self.model.reload)
        if life is not None:
            loop.add_reader(life, stop.set)
        listeners = await self._listen()
        if self._site:
            await self._site.open(self._listeners.metrics)
        beside = [asyncio.create_task(self.model.watch())]
        if self._number == 0:
            await self._try_next_hop()
            beside.append(asyncio.create_task(keep_trying(self._quarantine, self._ways.onward)))
        ready()
        await stop.wait()
        for task in beside:
            task.cancel()
        for listener in listeners:
            listener.close()
        await self._drain()
        if self._site:
            self._site.close()
        self._ways.close()
        if self._trust:
            self._trust.close()

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

    async def _listen(self) -> list[asyncio.Server]:
        loop = asyncio.get_running_loop()
        wanted = [(self._incoming, listener) for listener in self._listeners.incoming]
        wanted += [(self._outgoing, listener) for listener in self._listeners.outgoing]
        return [
            await loop.create_server(session, sock=listener, backlog=BACKLOG)
            for session, listener in wanted
        ]

    def _incoming(self) -> asyncio.Protocol:
        return self._session(self._judged, self._ways.onward(), self._pipeline)

    def _outgoing(self) -> asyncio.Protocol:
        assert self._trust
        return self._session(Receiver, self._ways.outgoing(), Outgoing(self._trust))

    def _session(
        self, receiver_of: Callable[..., Receiver], next_hop: NextHop, route: Route
    ) -> asyncio.Protocol:
        if not self._seats.free():
            if self._metrics:
                self._metrics.count(families.REFUSED)
            log.warning("more than %d sessions: one was refused", self._settings.limits.sessions)
            return _Refusal()
        receiver = receiver_of(self._receiver_settings, next_hop, route)
        self._sessions.add(receiver)
        self._seats.taken(self._number, len(self._sessions))
        receiver.on_end = self._ended
        return receiver

    def _ended(self, receiver: Connection) -> None:
        self._sessions.discard(receiver)
        self._seats.taken(self._number, len(self._sessions))

    def _metrics_site(self, counters: Counters) -> Site:
        """What answers on ``[metrics] listen``; loaded only here, and before there are workers, who
        thus share it."""
        from milter.metrics.page import CONTENT_TYPE, Page
        from milter.metrics.site import Site

        return Site(Page(counters, self._state), CONTENT_TYPE)

    def _state(self) -> State:
        model = self.model().version
        return State(
            sessions=self._seats.in_use,
            sessions_limit=self._settings.limits.sessions,
            workers=self._settings.filter.workers,
            model=model,
            armed=self._pipeline.armed(model),
        )

    async def _try_next_hop(self) -> None:
        """Say at start what else would only show with the first mail. Postfix may start later."""
        next_hop = self._ways.onward()
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


def _refuse_circles(settings: Settings) -> None:
    """No way onward may lead to a listener of our own; raises ``StartError``."""
    own = {str(settings.filter.listen), settings.trust.outgoing} - {""}
    ways = {
        "[filter] next_hop": settings.filter.next_hop,
        "[trust] outgoing_next_hop": settings.trust.outgoing_next_hop,
    }
    for name, where in ways.items():
        if where in own:
            raise StartError(
                f"{name}: {where} is where the filter itself listens; name the listener behind "
                "it, usually 127.0.0.1:10026"
            )


def _policy(settings: Settings) -> Policy:
    wishes = settings.policy
    named = {name: Wish(wish) for name, wish in wishes.recipients.items()}
    return Policy(Wish(wishes.default), named, wishes.shadow)


def _receiver_settings(settings: Settings) -> ReceiverSettings:
    return ReceiverSettings(
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


class _Refusal(asyncio.Protocol):
    """A connection that is one too many: 421 and the end, before anything is set up for it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(reply.TOO_MANY_SESSIONS.octets)
        transport.close()

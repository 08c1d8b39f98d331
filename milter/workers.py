"""Several worker processes on one listener, supervised by the process that was started.

The parent opens what all of them share (settings, model, listening sockets) and then only waits:
it hands signals on, and starts a worker anew that has died, at once or, if it dies again and again,
after longer and longer. Workers end by themselves when the parent is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from milter.shared import shared_numbers

log = logging.getLogger(__name__)

#: What a worker does: gets its number and the end of a pipe that closes with the parent.
Work = Callable[[int, int], None]

# Seconds: a worker that lived so long is started again at once; the first and the longest wait.
_SOUND, _FIRST, _LONGEST = 10.0, 0.1, 10.0
# Handled by waiting for them (sigtimedwait(2)), so that nothing happens in between.
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_OUR_FAULT = 70  # EX_SOFTWARE of sysexits.h


class Seats:
    """How many sessions all workers have together, kept below ``limit`` without a lock.

    Each worker writes a number of its own in memory that they share; two that ask at the same
    moment may both find the last seat free.
    """

    def __init__(self, limit: int, workers: int) -> None:
        self._limit = limit
        self._counts = shared_numbers(workers)

    def free(self) -> bool:
        """Whether one more session may begin."""
        return self.in_use < self._limit

    @property
    def in_use(self) -> int:
        """How many sessions there are."""
        return sum(self._counts)

    def taken(self, worker: int, sessions: int) -> None:
        """A worker tells how many sessions it has."""
        self._counts[worker] = sessions


@dataclass(slots=True)
class _Place:
    """One worker's place: its process, since when, and how long it waits after the next death."""

    pid: int = 0
    since: float = 0.0
    due: float = 0.0
    wait: float = field(default=_FIRST)


class Workers:
    """``count`` processes that do ``work``; ``leave`` is called when they are told to end, ``died``
    when one has ended unasked."""

    def __init__(
        self,
        count: int,
        work: Work,
        leave: Callable[[], None],
        died: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._leave = leave
        self._died = died
        self._places = [_Place() for _ in range(count)]
        self._stopping = False
        self._life, self._held = os.pipe()  # closed by the system when this process ends

    def run(self) -> None:
        """Start them and see to it that they run, until SIGTERM or SIGINT; SIGHUP is handed on."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            while not (self._stopping and not any(place.pid for place in self._places)):
                self._start_due()
                self._handle(signal.sigtimedwait(_SIGNALS, self._until_due()))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _start_due(self) -> None:
        now = time.monotonic()
        for number, place in enumerate(self._places):
            if not self._stopping and not place.pid and place.due <= now:
                place.pid, place.since = self._fork(number), now

    def _until_due(self) -> float:
        """Seconds until a worker is to be started; an hour where none is."""
        waiting = [place.due for place in self._places if not place.pid and not self._stopping]
        return max(min(waiting, default=time.monotonic() + 3600) - time.monotonic(), 0)

    def _handle(self, received: signal.struct_siginfo | None) -> None:
        if received is None:
            return
        if received.si_signo == signal.SIGCHLD:
            self._bury()
            return
        if received.si_signo != signal.SIGHUP:
            self._stopping = True
            self._leave()
        for place in self._places:
            if place.pid:
                os.kill(place.pid, signal.Signals(received.si_signo))

    def _bury(self) -> None:
        """Look who has died: one SIGCHLD may stand for several."""
        for number, place in enumerate(self._places):
            if place.pid and (status := _ended(place.pid)) is not None:
                place.pid = 0
                if not self._stopping:
                    self._plan_anew(number, place, status)

    def _plan_anew(self, number: int, place: _Place, status: int) -> None:
        now = time.monotonic()
        if now - place.since >= _SOUND:
            place.wait = _FIRST
        place.due = now + place.wait
        how = f"signal {-status}" if status < 0 else f"status {status}"
        self._died()
        log.error("worker %d has ended (%s); anew in %g s", number, how, place.wait)
        place.wait = min(place.wait * 2, _LONGEST)

    def _fork(self, number: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = _OUR_FAULT
        try:
            os.close(self._held)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._work(number, self._life)
            status = 0
        except BaseException:
            log.exception("worker %d", number)
        finally:
            logging.shutdown()
            os._exit(status)  # nothing of the parent's may run here a second time


def _ended(pid: int) -> int | None:
    """The exit status of a child, negative for a signal; None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None

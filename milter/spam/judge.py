"""A mail's content to its judgement, whatever the content is and within a deadline."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from milter.mail.text import read_text
from milter.spam.bundle import Bundle
from milter.spam.tokens import tokenize
from milter.spam.verdict import Judgement, Reason, judge, unscored

log = logging.getLogger(__name__)


class _OutOfTime(BaseException):
    """Not an ``Exception``, so that nothing on the way catches it by accident."""


def judge_content(content: bytes, bundle: Bundle, seconds: float) -> Judgement:
    """Judge a mail (octets, CRLF lines) within ``seconds``; never raises on account of the mail."""
    try:
        with _deadline(seconds):
            mail = read_text(content)
            if not mail.readable:
                return unscored(Reason.UNREADABLE, bundle.version)
            return judge(tokenize(mail), bundle)
    except _OutOfTime:
        log.warning("a mail of %d octets was given up after %g s", len(content), seconds)
        return unscored(Reason.TIMEOUT, bundle.version)
    except Exception:  # whatever it is: the mail must go on
        log.exception("a mail of %d octets cannot be read", len(content))
        return unscored(Reason.UNREADABLE, bundle.version)


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Break off what runs inside after ``seconds`` of real time.

    A signal is the one thing that reaches code which never returns to the event loop, a regular
    expression included. Signals exist in the main thread only; elsewhere there is no deadline.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

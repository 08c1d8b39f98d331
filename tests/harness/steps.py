"""A child process that stops before each of its system calls, by ptrace(2).

What a file system shows while the child stands still is what it would show for ever, were the
child killed there; and it can be killed there.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_TRACEME, _SYSCALL, _SETOPTIONS = 0, 24, 0x4200
# Tell stops at system calls from signals; kill the child where the tracer ends.
_SYSGOOD, _EXITKILL = 0x1, 0x100000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, child: int, data: int = 0) -> None:
    if _libc.ptrace(request, child, None, data) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def stepped(job: Callable[[], object]) -> Iterator[Iterator[int]]:
    """Run ``job`` in a child; yields its stops, numbered. Left early, the child is killed."""
    child = os.fork()
    if child == 0:
        _run(job)
    try:
        yield _stops(child)
    finally:
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):  # it has ended, and was waited for
            pass


def _run(job: Callable[[], object]) -> None:
    status = 1
    try:
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        job()
        status = 0
    finally:
        os._exit(status)


def _stops(child: int) -> Iterator[int]:
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, _SYSGOOD | _EXITKILL)
    stops, handed_on = 0, 0
    while True:
        _ptrace(_SYSCALL, child, handed_on)
        _, status = os.waitpid(child, 0)
        if not os.WIFSTOPPED(status):
            assert os.waitstatus_to_exitcode(status) == 0, f"the job failed: {status}"
            return
        handed_on = os.WSTOPSIG(status)
        if handed_on == signal.SIGTRAP | 0x80:
            handed_on = 0
            if stops % 2 == 0:  # before the call, and not behind it
                yield stops // 2
            stops += 1


def walk(
    job: Callable[[], object], state: Callable[[], object], look: Callable[[str], None]
) -> tuple[int, list[int]]:
    """Call ``look`` before every call of ``job`` that finds another ``state`` than the last one.

    Returns how many calls there are, and before which the state had changed.
    """
    changes: list[int] = []
    calls, last = 0, state()
    with stepped(job) as stops:
        for stop in stops:
            calls += 1
            if (now := state()) != last:
                last = now
                changes.append(stop)
                look(f"before call {stop}")
    return calls, changes


def kill(job: Callable[[], object], at: int) -> str:
    """Run ``job`` and kill it before its call number ``at``; when that was, in words."""
    with stepped(job) as stops:
        for stop in stops:
            if stop == at:
                break
    return f"killed before call {at}"

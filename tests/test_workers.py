"""Several worker processes on one listener: none of what happens to one of them loses a mail."""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.filter import RunningFilter, running_filter
from harness.ports import listens, wait_until

from milter.workers import Seats

WORKERS = 3
MAIL = "Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningFilter]:
    with running_filter(tmp_path, "", "--workers", str(WORKERS)) as found:
        wait_until(lambda: len(workers(found)) == WORKERS, "all workers are there")
        yield found


def workers(running: RunningFilter) -> set[int]:
    """The workers' process ids, as the system knows them."""
    pid = running.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def send(port: int, number: int = 0) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail("a@example.org", ["b@example.net"], f"X-Number: {number}\r\n{MAIL}")


def sent_by_many(port: int, mails: int = 60, senders: int = 6) -> list[Exception]:
    """Mails from several senders at once; what went wrong."""
    faults: list[Exception] = []

    def run(first: int) -> None:
        for number in range(first, mails, senders):
            try:
                send(port, number)
            except (OSError, smtplib.SMTPException) as error:
                faults.append(error)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_all_of_them_work_and_every_mail_arrives(running: RunningFilter) -> None:
    assert sent_by_many(running.port) == []
    assert len(running.mails()) == 60
    names = {path.name for path in (running.folder / "var/mail/new").iterdir()}
    assert len({name.partition("P")[2].partition("Q")[0] for name in names}) > 1
    assert len((running.folder / "var/state/seen.jsonl").read_text().splitlines()) == 60


def test_a_worker_that_dies_is_started_anew(running: RunningFilter) -> None:
    before = workers(running)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: len(workers(running) - before) == 1, "there is another one")
    assert len(workers(running)) == WORKERS
    assert "has ended (signal 9)" in running.log
    assert sent_by_many(running.port, mails=12) == []
    assert len(running.mails()) == 12


def test_one_that_dies_again_and_again_is_waited_for_longer(running: RunningFilter) -> None:
    for waited in ("0.1", "0.2", "0.4"):
        newest = max(workers(running))
        os.kill(newest, signal.SIGKILL)
        wait_until(lambda pid=newest: pid not in workers(running), "it is dead")
        wait_until(lambda: len(workers(running)) == WORKERS, "there are as many again")
        assert f"anew in {waited} s" in running.log


def test_they_end_together_and_finish_their_mail(running: RunningFilter) -> None:
    pids = workers(running)
    with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
        client.ehlo()
        client.mail("a@example.org")
        client.rcpt("b@example.net")
        running.process.terminate()
        wait_until(lambda: not listens_anew(running.port), "no new session is taken")
        assert client.data(MAIL)[0] == 250
    assert running.process.wait(30) == 0
    assert len(running.mails()) == 1
    assert not any(alive(pid) for pid in pids)


def test_they_end_with_the_process_that_was_started(running: RunningFilter) -> None:
    pids = workers(running)
    running.process.kill()
    wait_until(lambda: not any(alive(pid) for pid in pids), "the workers are gone")


def test_a_new_model_reaches_all_of_them(tmp_path: Path) -> None:
    """SIGHUP goes to the process that was started; each worker opens the model anew."""
    models = Path(__file__).parents[1] / "models"
    shutil.copytree(models, tmp_path / "models")
    settings = f'[model]\nfolder = "{tmp_path / "models"}"\n'
    with running_filter(tmp_path, settings, "--workers", str(WORKERS)) as running:
        wait_until(lambda: len(workers(running)) == WORKERS, "all workers are there")
        send(running.port)  # one answers, so one listens to signals; the others soon will
        wait_until(lambda: reloaded(running) >= WORKERS, "every worker has the model anew")


def reloaded(running: RunningFilter) -> int:
    """How often a worker has taken the model, each time asking once more."""
    running.process.send_signal(signal.SIGHUP)
    return running.log.count("in use")


def test_sessions_are_counted_across_all(tmp_path: Path) -> None:
    settings = "[limits]\nsessions = 4\n"
    with running_filter(tmp_path, settings, "--workers", str(WORKERS)) as running:
        held = [seated(running.port) for _ in range(4)]
        assert greeting(running.port).startswith(b"421")
        held.pop().close()
        held.append(seated(running.port))
        for client in held:
            client.close()


@pytest.mark.parametrize("count", ["0", "-1", "two"])
def test_a_count_that_is_none_is_refused(tmp_path: Path, count: str) -> None:
    command = ["-m", "milter", "serve", "--workers", count]
    done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "workers" in done.stderr
    assert "Traceback" not in done.stderr


def test_seats() -> None:
    seats = Seats(3, 2)
    assert seats.free()
    seats.taken(0, 2)
    assert seats.free()
    seats.taken(1, 1)
    assert not seats.free()
    seats.taken(0, 0)
    assert seats.free()


def seated(port: int) -> socket.socket:
    """A session that was greeted, once those that have ended are counted as ended."""
    sessions: list[socket.socket] = []

    def greeted() -> bool:
        client = socket.create_connection(("127.0.0.1", port), 10)
        if client.recv(100).startswith(b"220"):
            sessions.append(client)
            return True
        client.close()
        return False

    wait_until(greeted, "a session is greeted")
    return sessions[0]


def greeting(port: int) -> bytes:
    """The first line of a session that says nothing itself."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        return client.recv(100)


def listens_anew(port: int) -> bool:
    """Whether a new session is greeted."""
    try:
        return listens(port) and greeting(port).startswith(b"220")
    except OSError:
        return False


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

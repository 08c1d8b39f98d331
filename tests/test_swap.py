"""A published model is in use within two seconds; no mail and no connection notices."""

from __future__ import annotations

import re
import shutil
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from harness.filter import RunningFilter, running_filter
from harness.ports import wait_until
from spam import tiny

from milter.spam.bundle import arrays_to_bytes
from training.publish import publish, rollback

OTHER = "2026.11.24-other"
SECONDS = 2.0
_MODEL = re.compile(rb"model=(\S+?)\r\n(?! )")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder with two bundles; the first is current."""
    folder = tiny.write_models(tmp_path / "models")
    tiny.write_bundle(folder / OTHER, version=OTHER)
    return folder


@contextmanager
def filter_with(models: Path) -> Iterator[RunningFilter]:
    with running_filter(models.parent, f'[model]\nfolder = "{models}"\n') as running:
        yield running


class Sender(threading.Thread):
    """Sends one mail after the other on one connection until it is told to stop."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._client = smtplib.SMTP("127.0.0.1", port, timeout=30)
        self._enough = threading.Event()
        self.sent = 0
        self.fault: Exception | None = None

    def run(self) -> None:
        try:
            while not self._enough.is_set():
                self._client.sendmail("a@example.org", ["b@example.net"], tiny.FAKE)
                self.sent += 1
        except (smtplib.SMTPException, OSError) as error:
            self.fault = error

    def finish(self) -> None:
        self._enough.set()
        self.join(timeout=60)
        self._client.quit()


@contextmanager
def senders(port: int, count: int = 3) -> Iterator[list[Sender]]:
    """Keep the filter busy; afterwards, nobody was refused and no connection was lost."""
    busy = [Sender(port) for _ in range(count)]
    for sender in busy:
        sender.start()
    try:
        yield busy
    finally:
        for sender in busy:
            sender.finish()
    assert [sender.fault for sender in busy] == [None] * count


def swapped_after(running: RunningFilter, model: str) -> float:
    """Seconds until the log says that ``model`` is in use."""
    start, said = time.monotonic(), running.log.count(f"model {model} in use")
    wait_until(lambda: running.log.count(f"model {model} in use") > said, f"{model} is in use")
    return time.monotonic() - start


def models_of(mails: list[bytes]) -> list[str]:
    """The model that judged each mail."""
    found = [_MODEL.search(mail) for mail in mails]
    return [one.group(1).decode() if one else "" for one in found]


def test_under_load(models: Path) -> None:
    """Published, rolled back and published again, while senders send all the time."""
    with filter_with(models) as running:
        with senders(running.port) as busy:
            time.sleep(0.3)
            publish(models, OTHER)
            assert swapped_after(running, OTHER) < SECONDS
            rollback(models)
            assert swapped_after(running, tiny.NAME) < SECONDS
            publish(models, OTHER)
            assert swapped_after(running, OTHER) < SECONDS
            time.sleep(0.3)
        mails = running.mails()
    assert len(mails) == sum(sender.sent for sender in busy)
    assert all(sender.sent > 10 for sender in busy)
    judged_by = models_of(mails)
    assert set(judged_by) == {tiny.NAME, OTHER}
    assert all(mail.startswith(b"X-Coop-Verdict: fake;") for mail in mails)


def send(running: RunningFilter) -> str:
    """Send a mail; the model that judged it."""
    with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
        client.sendmail("a@example.org", ["b@example.net"], tiny.FAKE)
    return models_of(running.mails())[-1]


def refusals(running: RunningFilter) -> list[str]:
    return [line for line in running.log.splitlines() if " ERROR " in line]


def damaged(folder: Path) -> str:
    (folder / "weights.npz").write_bytes(b"PK damaged")
    return "weights.npz: its SHA-256"


def absurd(folder: Path) -> str:
    octets = arrays_to_bytes(tiny.arrays() | {"intercept": np.array([9.0, 0, 0])})
    tiny.write_bundle(folder, octets, version=OTHER)
    return "calls an ordinary mail fake"


def missing(folder: Path) -> str:
    shutil.rmtree(folder)
    return "there is no whole model bundle"


def for_another_filter(folder: Path) -> str:
    tiny.write_bundle(folder, version=OTHER, features=999)
    return "features is 999"


@pytest.mark.parametrize("damage", [damaged, absurd, missing, for_another_filter])
def test_what_fails_is_refused_once_and_loudly_until_it_is_repaired(
    models: Path, damage: object
) -> None:
    assert callable(damage)
    reason = damage(models / OTHER)
    with filter_with(models) as running:
        (models / "current").write_text(f"{OTHER}\n")
        wait_until(lambda: bool(refusals(running)), "it is refused")
        time.sleep(2.5)
        (line,) = refusals(running)
        assert f"the model stays {tiny.NAME}: " in line
        assert reason in line
        assert send(running) == tiny.NAME
        tiny.write_bundle(models / OTHER, version=OTHER)
        swapped_after(running, OTHER)
        assert send(running) == OTHER
        assert "Traceback" not in running.log


def test_a_start_with_a_bundle_that_a_running_filter_would_refuse(models: Path) -> None:
    """Mail must not stop because the machine was started anew: the last sound model is used."""
    publish(models, OTHER)
    damaged(models / OTHER)
    with filter_with(models) as running:
        (line,) = refusals(running)
        assert f"the model is {tiny.NAME}, of those published before" in line
        assert "weights.npz: its SHA-256" in line
        assert send(running) == tiny.NAME
        time.sleep(1.5)
        assert len(refusals(running)) == 1
        tiny.write_bundle(models / OTHER, version=OTHER)
        swapped_after(running, OTHER)


def test_nothing_happens_while_nothing_changes(models: Path) -> None:
    with filter_with(models) as running:
        time.sleep(2.5)
        assert "in use" not in running.log

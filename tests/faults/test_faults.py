"""The filter does what ``deploy/faults.toml`` says: each row is a test.

Faults of next hop, sender, judging and disk happen to a filter in this process; those of the
process itself to a real one.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import shutil
import signal
import smtplib
import socket
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from faults import runbook
from faults.talk import from_there, said, send, up_to
from harness.filter import running_filter
from harness.ports import free_port, listens, wait_until
from smtp import rig
from smtp.scripted_hop import ScriptedHop
from spam.tiny import FAKE, NAME, write_bundle, write_models

from milter.pipeline import Pipeline
from milter.quarantine.store import Quarantine
from milter.smtp.content import Content
from milter.smtp.next_hop import Timeouts
from milter.spam import judge
from milter.spam.bundle import Bundle, open_models

Fault = dict[str, str]

FAULTS: dict[str, Fault] = tomllib.loads((runbook.DEPLOY / "faults.toml").read_text("utf-8"))
LARGE = FAKE + b"filling\r\n" * 10_000  # more than the rig holds in memory
SHORT = Timeouts(connect=0.3, reply=0.3, final=0.3, total=2.0)


def rows(key: str) -> Any:
    """A parameter for each row that has ``key``."""
    return pytest.mark.parametrize(
        "fault", [pytest.param(f, id=i) for i, f in FAULTS.items() if key in f]
    )


def test_every_row_is_tested() -> None:
    kinds = {"next_hop_at", "sender", "judging", "disk", "process"}
    assert all(len(kinds & fault.keys()) == 1 for fault in FAULTS.values())


def test_the_runbook_is_made_from_the_table() -> None:
    assert runbook.PAGE.read_text("utf-8") == runbook.page()


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_models(write_models(tmp_path / "models"))


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="milter")


class Attempt:
    """One mail towards the filter: the last reply that came, and the next hop behind."""

    def __init__(self, bundle: Bundle, answers: dict[str, bytes] | None = None) -> None:
        self.hop = ScriptedHop(answers)
        self.reply = b""
        quarantine = Quarantine(Path("/nowhere"))  # nobody has asked for one
        self.pipeline = Pipeline(lambda: bundle, 0.3, quarantine, armed=lambda model: False)
        self.settings: dict[str, Any] = {"before_queue": True}

    def run(self, content: bytes = FAKE, drop_at: str = "") -> Attempt:
        """Send the mail, hanging up behind ``drop_at`` if named."""
        asyncio.run(self._run(content, drop_at))
        return self

    async def _run(self, content: bytes, drop_at: str) -> None:
        running = rig.running(self.hop, timeouts=SHORT, route=self.pipeline, **self.settings)
        async with running as filter_:
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            self.reply = await rig.reply_from(reader)
            await self._talk(reader, writer, content, drop_at)
            writer.close()

    async def _talk(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        content: bytes,
        drop_at: str,
    ) -> None:
        steps = [
            ("EHLO", b"EHLO c\r\n"),
            ("MAIL", b"MAIL FROM:<a@here.example>\r\n"),
            ("RCPT", b"RCPT TO:<b@there.example>\r\n"),
            ("DATA", b"DATA\r\n"),
            ("content", content),
            ("dot", b".\r\n"),
        ]
        for stage, octets in steps:
            writer.write(octets)
            await writer.drain()
            if stage == drop_at:
                return
            if stage == "content":
                continue
            self.reply = await rig.reply_from(reader)
            if self.reply[:1] not in b"23":
                return


def assert_as_told(fault: Fault, attempt: Attempt, caplog: pytest.LogCaptureFixture) -> None:
    """Reply, whereabouts and log line are those of the row."""
    if fault["reply"]:
        assert attempt.reply.startswith(fault["reply"].encode()), attempt.reply
    arrived = len(attempt.hop.mails)
    if fault["mail"] == "the sender":
        assert not attempt.reply.startswith(b"250 2.0.0 Ok: queued")
        # A next hop that was handed the whole mail and refused it has no mail.
        assert arrived == 0 or fault.get("next_hop_at") == "dot"
    elif fault["mail"].startswith("the next hop"):
        assert arrived == 1
    if "unscored" in fault["mail"]:
        marked = attempt.hop.mails[0].replace(b"\r\n ", b" ")
        assert fault["mail"].partition(", as ")[2].encode() in marked
    assert fault["log"] in caplog.text
    assert "here.example" not in caplog.text.replace("sender_domain=here.example", "")


@rows("next_hop_at")
def test_next_hop(fault: Fault, bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    does = fault["next_hop_does"]
    answer = f"{does}\r\n" if does[0].isdigit() else does
    answers = {fault["next_hop_at"]: answer.encode()}
    assert_as_told(fault, Attempt(bundle, answers).run(), caplog)


@rows("sender")
def test_sender(fault: Fault, bundle: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    attempt = Attempt(bundle)
    match fault["sender"]:
        case "drops":
            attempt.run(drop_at=fault["sender_at"])
        case "silent":
            attempt.settings["idle"] = 0.3
            asyncio.run(silent_within_content(attempt))
        case "too much":
            attempt.settings["message_size"] = len(FAKE)
            attempt.run(FAKE + b"x\r\n")
        case "without end":
            attempt.settings["message_size"] = 1000
            attempt.run(LARGE)
        case "octets behind":
            attempt.run(FAKE + b".\r\nMAIL FROM:<evil@here.example>\r\n")
    assert_as_told(fault, attempt, caplog)


async def silent_within_content(attempt: Attempt) -> None:
    async with rig.running(attempt.hop, route=attempt.pipeline, **attempt.settings) as filter_:
        reader, writer = await rig.client_at_data(filter_.port)
        writer.write(FAKE)
        attempt.reply = await rig.reply_from(reader)
        writer.close()


@rows("judging")
def test_judging(
    fault: Fault,
    bundle: Bundle,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(content: bytes) -> None:
        match fault["judging"]:
            case "raises":
                raise RuntimeError("a bug")
            case "memory":
                raise MemoryError
            case "hangs":
                while True:
                    time.sleep(0.01)

    monkeypatch.setattr(judge, "read_text", fail)
    assert_as_told(fault, Attempt(bundle).run(), caplog)


@rows("disk")
def test_disk(
    fault: Fault,
    bundle: Bundle,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that fails on demand is the one thing that is faked: a small mail still goes."""
    numbers = {"full": errno.ENOSPC, "read-only": errno.EROFS, "descriptors": errno.EMFILE}

    def no_file(*args: object, **options: object) -> None:
        number = numbers[fault["disk"]]
        raise OSError(number, "the disk fails")

    monkeypatch.setattr(tempfile, "TemporaryFile", no_file)
    assert_as_told(fault, Attempt(bundle).run(LARGE), caplog)
    small = Attempt(bundle).run(FAKE)
    assert small.reply.startswith(b"250")
    assert len(small.hop.mails) == 1


@rows("process")
def test_process(fault: Fault, tmp_path: Path) -> None:
    {
        "maildir full": maildir_full,
        "no descriptors": no_descriptors,
        "journal broken": journal_broken,
        "model removed": model_cannot_be_opened,
        "model damaged": model_cannot_be_opened,
        "model absurd": model_cannot_be_opened,
        "model damaged at start": model_damaged_at_start,
        "sigterm between": sigterm_between,
        "sigterm within": sigterm_within,
        "sigterm late": sigterm_late,
        "sigkill within": sigkill_within,
    }[fault["process"]](fault, tmp_path)


def maildir_full(fault: Fault, folder: Path) -> None:
    """Taking the folder away is as good as a full disk: the mail cannot be written."""
    with running_filter(folder) as running:
        shutil.rmtree(folder / "var")
        assert said(send(running)).startswith(fault["reply"])
        assert fault["log"] in running.log


def journal_broken(fault: Fault, folder: Path) -> None:
    with running_filter(folder) as running:
        shutil.rmtree(folder / "var/state")
        (folder / "var/state").write_text("a file where a folder is needed")
        for _ in range(3):
            assert said(send(running)).startswith(fault["reply"])
        assert len(running.mails()) == 3
        assert running.log.count(fault["log"]) == 1
        (folder / "var/state").unlink()
        send(running)
        assert "3 mails are missing" in running.log


def no_descriptors(fault: Fault, folder: Path) -> None:
    with running_filter(folder) as running:
        open_now = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
        usual = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
        few = (open_now + 4, usual[1])
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, few)
        idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(20)]
        wait_until(lambda: fault["log"] in running.log, "it is logged")
        for connection in idle:
            connection.close()
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, usual)
        assert said(send(running)).startswith(fault["reply"])
        assert len(running.mails()) == 1
        assert "Traceback" not in running.log


def model_cannot_be_opened(fault: Fault, folder: Path) -> None:
    models = write_models(folder / "models")
    with running_filter(folder, f'[model]\nfolder = "{models}"\n') as running:
        if fault["process"] == "model removed":
            shutil.rmtree(models)
        elif fault["process"] == "model damaged":
            (models / NAME / "weights.npz").write_bytes(b"PK")
        else:
            all_fake = {"fake": 0.01, "unsure": 0.01, "genuine": 0.5}
            write_bundle(models / "absurd", version="absurd", thresholds=all_fake)
            (models / "current").write_text("absurd\n")
        wait_until(lambda: fault["log"] in running.log, "the refusal is logged")
        assert said(send(running)).startswith(fault["reply"])
        assert b"X-Coop-Verdict: fake" in running.mails()[0]
        assert f"model={NAME}".encode() in running.mails()[0]


def model_damaged_at_start(fault: Fault, folder: Path) -> None:
    models = write_models(folder / "models")
    (models / "history").write_text(f"{NAME}\nnewer\n")
    (models / "current").write_text("newer\n")
    with running_filter(folder, f'[model]\nfolder = "{models}"\n') as running:
        assert fault["log"] in running.log
        assert said(send(running)).startswith(fault["reply"])
        assert f"model={NAME}".encode() in running.mails()[0]


def sigterm_between(fault: Fault, folder: Path) -> None:
    with running_filter(folder) as running:
        client = smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        client.ehlo("c")
        running.process.send_signal(signal.SIGTERM)
        assert said(client.getreply()).startswith(fault["reply"])
        client.close()
        wait_until(lambda: fault["log"] in running.log, fault["log"])


def sigterm_within(fault: Fault, folder: Path) -> None:
    with running_filter(folder) as running:
        client = smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        up_to(client, fault["stage"])
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(running.port), "the listener is closed")
        assert said(from_there(client, fault["stage"])).startswith(fault["reply"])
        client.close()
        assert running.process.wait(timeout=30) == 0
        assert len(running.mails()) == 1
        assert fault["log"] in running.log


def sigterm_late(fault: Fault, folder: Path) -> None:
    with running_filter(folder, "[limits]\ndrain = 0.5\n") as running:
        client = smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        up_to(client, "content")
        running.process.send_signal(signal.SIGTERM)
        assert said(client.getreply()).startswith(fault["reply"])
        client.close()
        assert running.process.wait(timeout=30) == 0
        assert running.mails() == []
        assert fault["log"] in running.log


def sigkill_within(fault: Fault, folder: Path) -> None:
    port = free_port()
    with running_filter(folder, port=port) as running:
        client = smtplib.SMTP("127.0.0.1", port, timeout=30)
        up_to(client, fault["stage"])
        running.process.kill()
        running.process.wait(timeout=30)
        with pytest.raises((OSError, smtplib.SMTPException)):
            client.getreply()
        assert running.mails() == []
    with running_filter(folder, port=port) as running:
        assert said(send(running)).startswith(fault["reply"])
        assert len(running.mails()) == 1


def test_content_that_cannot_be_read_back_is_not_sent(bundle: Bundle) -> None:
    """A disk that fails between taking and sending: 451, and no dot ends half a mail."""
    attempt = Attempt(bundle)
    original = Content.pieces

    def failing(self: Content, start: int = 0) -> Any:
        yield from list(original(self, start))[:1]
        raise OSError(errno.EIO, "the disk fails")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Content, "pieces", failing)
        attempt.run(LARGE)
    assert attempt.reply.startswith(b"451")
    assert attempt.hop.mails == []

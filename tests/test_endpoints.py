"""Unix sockets on both sides, LMTP behind, and a listener that systemd hands over."""

from __future__ import annotations

import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from harness.filter import running_filter
from harness.ports import wait_until

from milter.config import load
from milter.errors import StartError
from milter.server import Server

HERE = "127.0.0.1:10033"
MAIL = b"Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"


def send(port: int, recipients: list[str] | None = None) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        return client.sendmail("a@example.org", recipients or ["b@example.net"], MAIL)


def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    """The filter behind listens on a Unix socket; a stale file of a killed one is no obstacle."""
    path = tmp_path / "filter.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    (tmp_path / "behind").mkdir()
    command = [sys.executable, "-m", "milter", "serve", "--listen", f"unix:{path}"]
    with subprocess.Popen(command, cwd=tmp_path / "behind", stdout=subprocess.PIPE) as behind:
        assert behind.stdout
        assert b"listens on unix:" in behind.stdout.readline()
        try:
            with running_filter(tmp_path, "", "--next-hop", f"unix:{path}") as front:
                send(front.port)
            assert len(list((tmp_path / "behind/var/mail/new").iterdir())) == 1
        finally:
            behind.terminate()


class LmtpServer:
    """A small LMTP server: takes what comes, one reply a recipient; refuses ``full@``."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.mails: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError), connection.makefile("rwb") as stream:
                self._session(stream)

    def _session(self, stream: BinaryIO) -> None:
        def say(text: bytes) -> None:
            stream.write(text + b"\r\n")
            stream.flush()

        recipients: list[bytes] = []
        say(b"220 lmtp")
        while line := stream.readline():
            self.said.append(line)
            verb = line.split()[0].upper()
            if verb == b"RCPT":
                recipients.append(line)
            if verb == b"DATA":
                say(b"354 go on")
                mail = b""
                while (text := stream.readline()) != b".\r\n":
                    mail += text
                for recipient in recipients:
                    full = b"full@" in recipient
                    say(b"552 5.2.2 full" if full else b"250 2.1.5 taken")
                    if not full:
                        self.mails.append(mail)
                recipients = []
                continue
            say(b"221 bye" if verb == b"QUIT" else b"250 ok")


@pytest.fixture
def lmtp() -> object:
    server = LmtpServer()
    yield server
    server.close()


def test_lmtp_takes_one_recipient_a_mail(tmp_path: Path, lmtp: LmtpServer) -> None:
    """A mail of several recipients has several fates, and SMTP only one reply for them."""
    settings = '[filter]\narrangement = "after-queue"\n'
    with running_filter(tmp_path, settings, "--next-hop", f"lmtp:127.0.0.1:{lmtp.port}") as running:
        refused = send(running.port, ["b@example.net", "c@example.net"])
        assert refused == {"c@example.net": (452, refused["c@example.net"][1])}
        assert len(lmtp.mails) == 1
        with pytest.raises(smtplib.SMTPDataError) as full:
            send(running.port, ["full@example.net"])
        assert full.value.smtp_code == 552
    assert any(line.startswith(b"LHLO ") for line in lmtp.said)
    assert not any(line.startswith(b"EHLO") for line in lmtp.said)


def test_a_listener_of_systemd_survives_a_restart(tmp_path: Path) -> None:
    """While no filter runs, connections wait in the listener that systemd holds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        first = with_inherited(listener, tmp_path)
        send(port)
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=30) == 0
        waiting = threading.Thread(target=send, args=(port,))
        waiting.start()
        second = with_inherited(listener, tmp_path)
        waiting.join(timeout=30)
        second.terminate()
        assert second.wait(timeout=30) == 0
    assert len(list((tmp_path / "var/mail/new").iterdir())) == 2


def test_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    """Ten senders go on while the filter is restarted; a mail without a 250 is sent again."""
    mails, senders = 8, 10
    refused: list[str] = []

    def sender(name: int) -> None:
        for number in range(mails):
            text = b"X-Test: %d-%d\r\n" % (name, number) + MAIL
            while True:
                try:
                    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                        client.sendmail("a@example.org", ["b@example.net"], text)
                    break
                except ConnectionRefusedError:
                    refused.append("nobody listened")
                except (OSError, smtplib.SMTPException):
                    continue  # 421 between mails: it is sent again

    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        port = listener.getsockname()[1]
        running = with_inherited(listener, tmp_path)
        threads = [threading.Thread(target=sender, args=(name,)) for name in range(senders)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=30) == 0
            running = with_inherited(listener, tmp_path)
        for thread in threads:
            thread.join()
        running.terminate()
        assert running.wait(timeout=30) == 0
    stored = [path.read_bytes() for path in (tmp_path / "var/mail/new").iterdir()]
    marks = {mark for mail in stored for mark in re.findall(rb"X-Test: (\S+)", mail)}
    assert len(marks) == mails * senders
    assert not refused


def with_inherited(listener: socket.socket, folder: Path) -> subprocess.Popen[bytes]:
    """Start a filter as systemd does: the listener is descriptor 3, LISTEN_PID the filter's own."""
    code = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.set_inheritable(3, True);"
        "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
        "os.execv(sys.executable, [sys.executable, '-m', 'milter', 'serve'])"
    )
    fd = listener.fileno()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(fd)], cwd=folder, pass_fds=[fd], stdout=subprocess.PIPE
    )
    assert process.stdout
    with process.stdout:
        assert b"listens on" in process.stdout.readline()
    return process


def test_one_session_too_many(tmp_path: Path) -> None:
    with running_filter(tmp_path, "[limits]\nsessions = 2\n") as running:
        # The harness' own probe may still be leaving.
        wait_until(lambda: "gone" in running.log, "the probe's session has ended")
        clients = [smtplib.SMTP("127.0.0.1", running.port, timeout=30) for _ in range(2)]
        with pytest.raises(smtplib.SMTPConnectError) as refused:
            smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        assert refused.value.smtp_code == 421
        clients[0].quit()
        wait_until(lambda: running.log.count("sender") >= 1, "a place is free")
        send(running.port)
        clients[1].close()


@pytest.mark.parametrize(
    ("name", "sections"),
    [
        ("[filter] next_hop", {"filter": {"listen": HERE, "next_hop": HERE}}),
        ("[filter] next_hop", {"filter": {"next_hop": HERE}, "trust": {"outgoing": HERE}}),
        (
            "[trust] outgoing_next_hop",
            {"trust": {"outgoing": HERE, "outgoing_next_hop": HERE}},
        ),
    ],
)
def test_no_way_leads_back_to_the_filter(
    name: str, sections: dict[str, dict[str, object]], tmp_path: Path
) -> None:
    settings = load(None, {"journal": {"folder": str(tmp_path)}, **sections})
    with pytest.raises(StartError, match=re.escape(f"{name}: {HERE} is where the filter itself")):
        Server(settings)

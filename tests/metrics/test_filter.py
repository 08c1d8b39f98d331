"""The metrics of a real filter: right across its workers, whatever becomes of them."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.filter import RunningFilter, running_filter
from harness.ports import free_port, listens, wait_until
from harness.scrape import Metrics, scraped
from spam import tiny

from training.publish import publish

SAMPLES = [
    path.read_bytes().replace(b"\n", b"\r\n")
    for path in sorted((Path(__file__).parents[2] / "deploy" / "demo").glob("*.eml"))
]
SHORT = b"Subject: Hi\r\n\r\nToo short.\r\n"
SENDERS = 6
RESTARTS = "worker_restarts_total"


@contextmanager
def counting(
    folder: Path, settings: str = "", *arguments: str
) -> Iterator[tuple[RunningFilter, int]]:
    """A filter that counts, and the port that its metrics are on."""
    port = free_port()
    settings += f'\n[metrics]\nlisten = "127.0.0.1:{port}"\n'
    with running_filter(folder, settings, *arguments) as running:
        yield running, port


def send(port: int, octets: bytes, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail("a@example.org", recipients or ("b@example.net",), octets)


def send_all(port: int, each: int = 2) -> int:
    """All samples from several senders at once; how many mails that makes."""
    mails = [*SAMPLES, SHORT] * each

    def run() -> None:
        for octets in mails:
            send(port, octets, "b@example.net", "c@example.net")

    threads = [threading.Thread(target=run) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(mails) * SENDERS


def workers(running: RunningFilter) -> list[int]:
    pid = running.process.pid
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def journal(running: RunningFilter) -> list[dict[str, str]]:
    """The journal's lines, a dictionary each."""
    lines = [line for line in running.log.splitlines() if " milter.journal: " in line]
    return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in lines]


def from_journal(lines: list[dict[str, str]]) -> Counter[tuple[str, str]]:
    """What the metrics have to say of the mails of these lines."""
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        found["mails_total", line["verdict"]] += 1
        found["recipients_total", line["action"]] += int(line["recipients"])
        found["replies_total", f"{line['reply'][0]}xx"] += 1
        found["received_bytes_total", ""] += int(line["octets"])
        for name in ("asks", "offers"):
            for word in line[name].split(","):
                found[f"{name}_total", word] += word != "-"
        found["reasons_total", line["reason"]] += line["reason"] != "-"
    return +found


def counters(metrics: Metrics) -> dict[tuple[str, str], float]:
    """All that must never fall."""
    return {
        key: value
        for key, value in metrics.items()
        if key[0].endswith(("_total", "_bucket", "_sum", "_count"))
    }


def counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    """The counters that are not 0, durations aside."""
    return {
        key: value
        for key, value in counters(metrics).items()
        if value and key[0].endswith("_total")
    }


def test_they_say_what_the_journal_says(tmp_path: Path) -> None:
    with counting(tmp_path, "", "--workers", "2") as (running, port):
        sent = send_all(running.port)
        lines, metrics = journal(running), scraped(port)
        ids = {path.name.partition("P")[2].partition("Q")[0] for path in new(running)}
        assert len(ids) == 2, "both workers had mail"
    assert len(lines) == sent
    found, wanted = counted(metrics), from_journal(lines)
    assert found.pop(("sessions_total", "")) > sent  # the harness has looked whether it listens
    assert found == wanted
    assert {"fake", "genuine", "none", "unscored"} <= {of for name, of in wanted if "mails" in name}
    for histogram in ("judging", "answer"):
        assert metrics[f"{histogram}_seconds_count", ""] == sent
        assert metrics[f"{histogram}_seconds_bucket", "+Inf"] == sent
    assert 0 < metrics["judging_seconds_sum", ""] < metrics["answer_seconds_sum", ""]
    assert metrics["model_info", lines[0]["model"]] == 1
    assert metrics["workers", ""] == 2


def new(running: RunningFilter) -> list[Path]:
    return list((running.folder / "var/mail/new").iterdir())


def test_they_never_fall(tmp_path: Path) -> None:
    """Each worker is killed, and its number goes on where it was."""
    with counting(tmp_path, "", "--workers", "2") as (running, port):
        sent = send_all(running.port)
        before = counters(scraped(port))
        for number, pid in enumerate(workers(running)):
            os.kill(pid, signal.SIGKILL)
            restarts = number + 1
            wait_until(lambda n=restarts: told(port, RESTARTS) == n, "the death is counted")
            wait_until(lambda pid=pid: len({*workers(running)} - {pid}) == 2, "another is there")
        assert counters(scraped(port)) == {**before, (RESTARTS, ""): 2}
        sent += send_all(running.port)
        wanted = from_journal(journal(running))
        metrics = scraped(port)
    assert len(journal(running)) == sent
    assert {key: metrics[key] for key in wanted} == wanted
    assert metrics["answer_seconds_count", ""] == sent


def told(port: int, name: str) -> float | None:
    """One number; None where the worker that was asked ends before it has answered."""
    try:
        return scraped(port)[name, ""]
    except OSError:
        return None


def test_sessions(tmp_path: Path) -> None:
    limits = "[limits]\nsessions = 2\n"
    with counting(tmp_path, limits, "--workers", "2") as (running, port):
        wait_until(lambda: scraped(port)["sessions_open", ""] == 0, "the harness's probe has ended")
        first = scraped(port)
        held = [socket.create_connection(("127.0.0.1", running.port), 30) for _ in range(2)]
        assert all(client.recv(100).startswith(b"220") for client in held)
        with socket.create_connection(("127.0.0.1", running.port), 30) as refused:
            assert refused.recv(100).startswith(b"421")
        full = scraped(port)
        assert full["sessions_open", ""] == full["sessions_limit", ""] == 2
        assert full["sessions_total", ""] - first["sessions_total", ""] == 2
        assert full["sessions_refused_total", ""] == 1
        for pid in workers(running):  # with the sessions that they have
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: told(port, RESTARTS) == 2, "both are started anew")
        wait_until(lambda: told(port, "sessions_open") == 0, "no session is left over")
        for client in held:
            client.close()


def test_one_worker_counts_as_well(tmp_path: Path) -> None:
    policy = '[policy]\ndefault = "quarantine"\nforce_quarantine = true\n'
    with counting(tmp_path, policy) as (running, port):
        send(running.port, SAMPLES[1])
        metrics = scraped(port)
    assert metrics["mails_total", "fake"] == 1
    assert metrics["recipients_total", "quarantine"] == 1
    assert metrics["replies_total", "2xx"] == 1
    assert metrics["quarantine_armed", ""] == 1


def test_the_model_in_use(tmp_path: Path) -> None:
    models, other = tiny.write_models(tmp_path / "models"), "2026.11.24-other"
    tiny.write_bundle(models / other, version=other)
    with counting(tmp_path, f'[model]\nfolder = "{models}"\n', "--workers", "2") as (_, port):
        assert in_use(scraped(port)) == [tiny.NAME]
        publish(models, other)
        wait_until(lambda: in_use(scraped(port)) == [other], "the other one is in use")


def in_use(metrics: Metrics) -> list[str]:
    return [version for name, version in metrics if name == "model_info"]


def test_the_end_can_be_watched(tmp_path: Path) -> None:
    """Until the last mail under way is done."""
    with counting(tmp_path, "", "--workers", "2") as (running, port):
        with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
            client.ehlo()
            client.mail("a@example.org")
            client.rcpt("b@example.net")
            running.process.terminate()
            wait_until(lambda: not listens(running.port), "no new session is taken")
            wait_until(lambda: told(port, "sessions_open"), "the session under way is told")
            assert client.data(SAMPLES[0])[0] == 250
        assert running.process.wait(30) == 0
        assert not listens(port)


def test_who_hangs_on_the_endpoint_holds_no_mail_up(tmp_path: Path) -> None:
    with counting(tmp_path) as (running, port):
        strangers = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(50)]
        for stranger in strangers[:8]:
            stranger.sendall(b"GET /metrics")
        send(running.port, SAMPLES[0])
        for stranger in strangers:
            stranger.close()
        wait_until(lambda: told(port, "workers") == 1, "the endpoint has room again")
        assert sum(scraped(port)["mails_total", of] for of in ("fake", "unsure")) == 1


def test_nothing_is_counted_or_loaded_unless_asked_for(tmp_path: Path) -> None:
    """No listener beside the one for mail; ``tests/test_light.py`` looks at what is loaded."""
    with running_filter(tmp_path) as running:
        send(running.port, SAMPLES[0])
        found = {line.split()[3] for line in listeners(running.process.pid)}
        assert found == {f"0100007F:{running.port:04X}"}


def listeners(pid: int) -> list[str]:
    """The lines of /proc/net/tcp of a process's listening sockets, their number put first."""
    links = [path.readlink().name for path in Path(f"/proc/{pid}/fd").iterdir()]
    own = {link.removeprefix("socket:[").rstrip("]") for link in links if "socket" in link}
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    split = [line.split() for line in lines]
    return [f"{f[9]} in use {f[1]}" for f in split if f[3] == "0A" and f[9] in own]


@pytest.mark.parametrize("family", ["metrics", "mail"])
def test_a_port_in_use(tmp_path: Path, family: str) -> None:
    mail = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if family == "metrics" else mail
        (tmp_path / "coop.toml").write_text(f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
        command = [sys.executable, "-m", "milter", "serve", "--config", "coop.toml"]
        done = subprocess.run(
            [*command, "--listen", f"127.0.0.1:{mail}"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert done.stderr == (
        f"coop-verdict: cannot listen on 127.0.0.1:{port}: Address already in use. Is a filter "
        "running already, or another program on this port? Name another one with [metrics] "
        "listen.\n"
    )


@pytest.mark.parametrize(
    ("host", "told"),
    [("0.0.0.0", 1), ("[::]", 1), ("localhost", 0)],  # noqa: S104 - it is what is warned of
)
def test_every_address_is_worth_a_warning(tmp_path: Path, host: str, told: int) -> None:
    port = free_port()
    settings = f'[metrics]\nlisten = "{host}:{port}"\n'
    with running_filter(tmp_path, settings) as running:
        assert running.log.count("whoever reaches one of them can read the metrics") == told

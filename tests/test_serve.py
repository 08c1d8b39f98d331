"""The filter as a process: how it starts, refuses to start, reloads and stops."""

from __future__ import annotations

import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from harness.filter import running_filter
from harness.ports import free_port, listens, wait_until
from harness.postfix import need

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
SAMPLE = (ROOT / "deploy" / "demo" / "2-fake-en.eml").read_bytes()
MAIL = SAMPLE.replace(b"\n", b"\r\n")


def serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``serve`` where it must refuse to; its output."""
    return subprocess.run(
        [sys.executable, "-m", "milter", "serve", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def assert_refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


def send(port: int, octets: bytes = MAIL) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
        client.sendmail("private.person@example.org", ["b@example.net"], octets)


def copied_models(folder: Path) -> Path:
    """A copy without ``history``: there is no older bundle to start with instead."""
    models = folder / "models"
    shutil.copytree(MODELS, models, ignore=shutil.ignore_patterns("history"))
    return models


def test_a_mail_lies_in_the_maildir_with_one_verdict_on_top(tmp_path: Path) -> None:
    with running_filter(tmp_path) as running:
        send(running.port)
        (mail,) = running.mails()
    assert mail.startswith(b"X-Coop-Verdict: fake; score=")
    assert mail.count(b"X-Coop-Verdict:") == 1
    assert mail.endswith(b"\r\n" + MAIL)
    assert running.log.count("milter.journal") == 1
    assert "Quick question" not in running.log
    assert "private.person" not in running.log


def test_curl_sends_it_a_file(tmp_path: Path) -> None:
    """As README says; the file has Unix line ends, which curl sends as they are."""
    need("curl", "curl")
    (tmp_path / "mail.eml").write_bytes(SAMPLE)
    with running_filter(tmp_path) as running:
        done = subprocess.run(
            [
                *("curl", "-sS", "--url", f"smtp://127.0.0.1:{running.port}"),
                *("--mail-from", "a@example.org", "--mail-rcpt", "b@example.net"),
                *("--upload-file", "mail.eml"),
            ],
            cwd=tmp_path,
        )
        assert done.returncode == 0
        (mail,) = running.mails()
    assert mail.rstrip().endswith(MAIL.rstrip())
    assert mail.startswith(b"X-Coop-Verdict: fake;")


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_refused(
            serve(tmp_path, "--listen", f"127.0.0.1:{port}"), f"127.0.0.1:{port}", "in use"
        )


def test_a_filter_that_would_feed_itself(tmp_path: Path) -> None:
    here = f"127.0.0.1:{free_port()}"
    assert_refused(serve(tmp_path, "--listen", here, "--next-hop", here), "next_hop", here)


def test_a_mail_that_goes_round_in_circles(tmp_path: Path) -> None:
    with running_filter(tmp_path) as running:
        send(running.port, b"Received: from a by b\r\n" * 50 + MAIL)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(running.port, b"Received: from a by b\r\n" * 51 + MAIL)
        assert refused.value.smtp_code == 554
        assert len(running.mails()) == 1


def test_a_maildir_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where a folder is needed")
    done = serve(tmp_path, "--listen", f"127.0.0.1:{free_port()}")
    assert_refused(done, "var/mail", "cannot be written")


@pytest.mark.parametrize("damage", ["missing", "truncated", "other version", "wrong hash", "none"])
def test_a_model_that_cannot_be_used(tmp_path: Path, damage: str) -> None:
    models = copied_models(tmp_path)
    bundle = models / (models / "current").read_text().strip()
    weights, facts = bundle / "weights.npz", bundle / "bundle.json"
    if damage == "missing":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "other version":
        facts.write_text(facts.read_text().replace('"tokenizer": ', '"tokenizer": 9'))
    elif damage == "wrong hash":
        facts.write_text(facts.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    else:
        (models / "current").unlink()
    (tmp_path / "coop.toml").write_text(f'[model]\nfolder = "{models}"\n')
    done = serve(tmp_path, "--config", "coop.toml", "--listen", f"127.0.0.1:{free_port()}")
    named = {"other version": "bundle.json", "none": "current"}.get(damage, "weights.npz")
    assert_refused(done, named)


def test_a_running_filter_keeps_its_model(tmp_path: Path) -> None:
    models = copied_models(tmp_path)
    with running_filter(tmp_path, f'[model]\nfolder = "{models}"\n') as running:
        shutil.rmtree(models)
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the model stays" in running.log, "a refused reload is logged")
        send(running.port)
        (mail,) = running.mails()
    assert mail.startswith(b"X-Coop-Verdict: fake;")


def test_a_new_model_is_taken_over(tmp_path: Path) -> None:
    models = copied_models(tmp_path)
    version = (models / "current").read_text().strip()
    with running_filter(tmp_path, f'[model]\nfolder = "{models}"\n') as running:
        other = models / "other"
        shutil.copytree(models / version, other)
        facts = (other / "bundle.json").read_text()
        (other / "bundle.json").write_text(
            facts.replace(f'"version": "{version}"', '"version": "x-1"')
        )
        (models / "current").write_text("other\n")
        running.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "model x-1 in use" in running.log, "the new model is taken over")
        send(running.port)
        assert b"model=x-1" in running.mails()[0].replace(b"\r\n", b"")


def test_a_next_hop_that_is_down_at_start(tmp_path: Path) -> None:
    """One clear line; mail gets 451 until it is up, and then goes through."""
    port = free_port()
    with running_filter(tmp_path, "", "--next-hop", f"127.0.0.1:{port}") as running:
        wait_until(lambda: "cannot be used yet" in running.log, "it is said at start")
        assert "Traceback" not in running.log
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            send(running.port)
        assert refused.value.smtp_code == 451
        (tmp_path / "behind").mkdir()
        with running_filter(tmp_path / "behind", port=port) as behind:
            send(running.port)
            assert len(behind.mails()) == 1


def test_sigterm_lets_a_mail_finish(tmp_path: Path) -> None:
    with running_filter(tmp_path) as running:
        client = smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        idle = smtplib.SMTP("127.0.0.1", running.port, timeout=30)
        client.ehlo("x")
        client.docmd("MAIL FROM:<a@example.org>")
        client.docmd("RCPT TO:<b@example.net>")
        client.docmd("DATA")
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not listens(running.port), "the listener is closed")
        assert idle.getreply()[0] == 421
        client.send(MAIL + b".\r\n")
        assert client.getreply()[0] == 250
        assert running.process.wait(timeout=30) == 0
        assert len(running.mails()) == 1
        client.close()
        idle.close()


def test_many_senders_at_once(tmp_path: Path) -> None:
    with running_filter(tmp_path) as running:
        threads = [threading.Thread(target=send, args=(running.port,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(running.mails()) == 20


def test_make_run_starts_the_filter_and_its_page() -> None:
    """Only said, not done: both would take the ports that people use."""
    command = ["make", "--dry-run", "--directory", str(ROOT), "run"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "coop-verdict review &" in told
    assert "coop-verdict serve" in told


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('default = "quarantine"', "would be held is tagged"),
        ('default = "quarantine"\nforce_quarantine = true', "armed by force_quarantine"),
        ('default = "tag"', ""),
    ],
)
def test_whether_anything_will_be_held_is_told_at_the_start(
    tmp_path: Path, policy: str, words: str
) -> None:
    with running_filter(tmp_path, f"[policy]\n{policy}\n") as running:
        told = [line for line in running.log.splitlines() if "milter.evidence" in line]
    assert len(told) == bool(words)
    assert all(words in line for line in told)

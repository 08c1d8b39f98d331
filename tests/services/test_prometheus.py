"""The files of deploy/prometheus: a real Prometheus reads the filter with them, and promtool tries
the alerts."""

from __future__ import annotations

import json
import smtplib
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.filter import running_filter
from harness.ports import free_port, wait_until
from harness.postfix import need

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
PACKAGE = "prometheus"
FAKE = (ROOT / "deploy" / "demo" / "2-fake-en.eml").read_bytes().replace(b"\n", b"\r\n")


@contextmanager
def running_prometheus(folder: Path, target: int) -> Iterator[int]:
    """Prometheus with our settings, but for ports, paths and how often it looks; its port."""
    port = free_port()
    text = (DEPLOY / "prometheus.yml").read_text()
    changes = {
        "/etc/prometheus/coop-verdict.rules.yml": str(DEPLOY / "coop-verdict.rules.yml"),
        "127.0.0.1:9125": f"127.0.0.1:{target}",
        "scrape_interval: 15s": "scrape_interval: 200ms\n  scrape_timeout: 200ms",
    }
    for ours, here in changes.items():
        assert text.count(ours) == 1 + (ours == "127.0.0.1:9125"), ours
        text = text.replace(ours, here)
    (folder / "prometheus.yml").write_text(text)
    command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}"]
    command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until(lambda: is_ready(port), f"Prometheus is ready: see {folder}/prometheus.log")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def is_ready(port: int) -> bool:
    """Whether it answers questions; it listens before that."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=30) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def asked(port: int, path: str, **query: str) -> Any:
    """What Prometheus answers to a question of its HTTP interface."""
    url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def test_prometheus_reads_the_filter(tmp_path: Path) -> None:
    need("prometheus", PACKAGE)
    metrics = free_port()
    settings = f'[metrics]\nlisten = "127.0.0.1:{metrics}"\n'
    with (
        running_filter(tmp_path, settings, "--workers", "2") as running,
        running_prometheus(tmp_path, metrics) as port,
    ):

        def fakes() -> list[str]:
            found = asked(port, "query", query='coop_verdict_mails_total{verdict="fake"}')
            return [sample["value"][1] for sample in found["result"]]

        wait_until(lambda: fakes() == ["0"], "it has looked")
        with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
            client.sendmail("a@example.org", ["b@example.net"], FAKE)
        wait_until(lambda: fakes() == ["1"], "it has seen the mail")
        (target,) = asked(port, "targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        kinds = {name: known[0]["type"] for name, known in asked(port, "metadata").items()}
        assert kinds["coop_verdict_judging_seconds"] == "histogram"
        assert kinds["coop_verdict_mails_total"] == "counter"
        (group,) = asked(port, "rules")["groups"]
        assert len(group["rules"]) == (DEPLOY / "coop-verdict.rules.yml").read_text().count("expr:")


def test_alerts() -> None:
    need("promtool", PACKAGE)
    for command in (
        ["check", "rules", DEPLOY / "coop-verdict.rules.yml"],
        ["test", "rules", Path(__file__).with_name("alerts.test.yml")],
    ):
        done = subprocess.run(["promtool", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_metrics_are_as_promtool_wishes(tmp_path: Path) -> None:
    need("promtool", PACKAGE)
    metrics = free_port()
    settings = f'[metrics]\nlisten = "127.0.0.1:{metrics}"\n'
    with (
        running_filter(tmp_path, settings),
        urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=30) as page,
    ):
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=page.read(), capture_output=True
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

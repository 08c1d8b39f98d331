"""The filter loads numbers, not code: no learner's library is ever in its process.

Nor is what serves its metrics, unless they are asked for.
"""

from __future__ import annotations

import smtplib
import subprocess
import sys
from pathlib import Path

import pytest
from harness.filter import running_filter

HEAVY = ("sklearn", "joblib", "scipy", "prometheus_client", "http")


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "milter", "--help"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "milter.cli" in imported
    assert not [name for name in imported if name.partition(".")[0] in (*HEAVY, "numpy", "rich")]


def test_the_running_filter_has_nothing_heavy(tmp_path: Path) -> None:
    """Asked of the process itself, after a mail: a hook prints sys.modules when it ends."""
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, sys\n"
        "atexit.register(lambda: open('modules', 'w').write('\\n'.join(sys.modules)))\n"
    )
    with (
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PYTHONPATH", str(tmp_path))
        with running_filter(tmp_path) as running:
            with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
                text = "Subject: A mail\r\n\r\nWith some words in it, more than a few of them.\r\n"
                client.sendmail("a@example.org", ["b@example.net"], text)
            assert len(running.mails()) == 1
    loaded = (tmp_path / "modules").read_text().split()
    assert "milter.pipeline" in loaded
    assert not [name for name in loaded if name.partition(".")[0] in HEAVY]

"""Filters, commands and the page at the same time on one folder, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from quarantine.mails import files, ids

from milter.quarantine.store import Quarantine, Query, State

TESTS = Path(__file__).resolve().parents[1]

_HOLD = """
import sys
from pathlib import Path
from quarantine.mails import ANNA, BERT, held
from milter.quarantine.store import Quarantine
quarantine = Quarantine(Path(sys.argv[1]))
for _ in range(40):
    print(held(quarantine, ANNA, BERT))
"""
_LIST = """
import sys
from pathlib import Path
from milter.quarantine.store import Quarantine, Query
quarantine = Quarantine(Path(sys.argv[1]))
for _ in range(40):
    for item in quarantine.find(Query(limit=1000)).items:
        # One that is deleted while the list is made is shown as such; none is ever missed.
        assert item.open or (item.state, item.recipient) == ("deleted", "bert@example.net"), item
    quarantine.reconcile()
"""
_DELETE = """
import sys, time
from pathlib import Path
from milter.errors import Busy, NotHeld
from milter.quarantine.store import Quarantine, Query
quarantine = Quarantine(Path(sys.argv[1]))
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    for item in quarantine.find(Query(recipients=["bert@example.net"])).items:
        try:
            quarantine.delete(item.id, "bert")
            print(item.id)
        except (Busy, NotHeld):
            pass
    if Path(sys.argv[2]).exists():
        break
"""


def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TESTS), "OPENBLAS_NUM_THREADS": "1"},
    )


def ended(process: subprocess.Popen[str]) -> list[str]:
    """The lines that it printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out.split()


def test_together(quarantine: Quarantine, folder: Path, tmp_path: Path) -> None:
    """Two hold, one lists and reconciles, two delete: nothing is lost, nothing is done twice."""
    stop = tmp_path / "stop"
    deleting = [start(_DELETE, folder, stop) for _ in range(2)]
    others = [start(_HOLD, folder), start(_HOLD, folder), start(_LIST, folder)]
    first, second, _ = (ended(process) for process in others)
    stop.touch()
    deleted = [item for process in deleting for item in ended(process)]
    assert sorted(ids(quarantine, Query(recipients=["anna@example.net"], limit=1000))) == sorted(
        first + second
    )
    assert len(first) == len(second) == 40
    assert len(set(deleted)) == len(deleted)
    assert {quarantine.item(item).state for item in deleted} <= {State.DELETED}
    left = quarantine.find(Query(recipients=["bert@example.net"], limit=1000)).total
    assert left + len(deleted) == 80
    assert len(files(folder)) == 160 + 80 + left
    quarantine.reconcile()
    assert quarantine.find(Query(states=(), limit=1)).total == 160

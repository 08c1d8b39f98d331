"""Retraining on a Dask cluster: the same bundle, byte for byte, and a worker may die.

If all of it dies, the command says so and ends; nothing is published.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Dask is an extra: who has not installed it runs all other tests.
pytest.importorskip("distributed", reason="needs the extra 'cluster'")

from harness.cluster import RunningCluster, running_cluster
from learning.retraining import (
    SETTINGS,
    file_pitches,
    octets,
    run,
)

from training.cli import main
from training.cluster import ClusterError, open_cluster
from training.history import current
from training.jobs import run as run_parts
from training.retrain import Order, Outcome, retrain

ROOT = Path(__file__).resolve().parents[2]
pytest_plugins = ["learning.fixtures"]

pytestmark = [
    # Of Dask's own, when connections end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:distributed"),
]


@pytest.fixture
def feedback(feedback: Path) -> Path:
    """So many that parts of them last."""
    return file_pitches(feedback, range(12))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RunningCluster]:
    with running_cluster(tmp_path, 2) as running:
        yield running


def test_same_bundle_as_on_this_machine(
    feedback: Path, models: Path, corpus: Path, cluster: RunningCluster, tmp_path: Path
) -> None:
    other = shutil.copytree(models, tmp_path / "other")
    here = run(feedback, models, corpus)
    with open_cluster(cluster.url) as there:
        found = run(feedback, other, corpus, jobs=there)
    assert found.outcome == here.outcome == Outcome.PUBLISHED
    assert octets(other, found.version) == octets(models, here.version)


@pytest.mark.parametrize(
    "stage", ["reading mails", "fitting the corpus alone", "fitting a candidate"]
)
def test_a_worker_that_dies_is_survived(
    stage: str, feedback: Path, models: Path, corpus: Path, cluster: RunningCluster, tmp_path: Path
) -> None:
    """It is killed in the middle: its part is done by the other one."""
    other = shutil.copytree(models, tmp_path / "other")
    here = run(feedback, models, corpus)
    killers: list[threading.Timer] = []

    def progress(now: str, done: int, _: int) -> None:
        if now.startswith(stage) and not killers and (done or stage.startswith("fit")):
            killers.append(threading.Timer(0.4, cluster.workers[0].kill))
            killers[0].start()

    with open_cluster(cluster.url) as there:
        order = Order([feedback], other, corpus, fit=SETTINGS, jobs=there)
        found = retrain(order, progress)
    assert cluster.workers[0].wait(30) < 0
    assert octets(other, found.version) == octets(models, here.version)


@pytest.mark.parametrize("stage", ["_rows", "_learn"])
@pytest.mark.parametrize(
    ("dying", "told"), [("workers", "no worker is left"), ("scheduler", "the scheduler is gone")]
)
def test_a_cluster_that_dies_is_told_of(
    dying: str,
    told: str,
    stage: str,
    feedback: Path,
    models: Path,
    corpus: Path,
    cluster: RunningCluster,
) -> None:
    """All is killed in the middle of reading mails, or of fitting: one sentence, and no change."""
    before = files(models)
    command = ["retrain", "--feedback", str(feedback), "--models", str(models)]
    command += ["--corpus", str(corpus), "--cluster", cluster.url]
    with started(command) as retraining:
        cluster.await_work(stage)
        cluster.kill(dying)
        said, complaint = retraining.communicate(timeout=120)
    assert retraining.returncode == 2
    assert not said
    assert told in complaint
    assert [line for line in complaint.splitlines() if not line.startswith("coop-train: ")] == []
    assert files(models) == before


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own; dead afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "training", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def files(models: Path) -> dict[str, bytes]:
    """All that stands in a models folder, but for the lock's file, which is always there."""
    paths = [path for path in models.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(models)): path.read_bytes() for path in paths}


def test_the_command(
    feedback: Path,
    models: Path,
    corpus: Path,
    cluster: RunningCluster,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["retrain", "--feedback", str(feedback), "--models", str(models)]
    arguments += ["--corpus", str(corpus), "--cluster", cluster.url]
    assert main(arguments) in (0, 3)  # with so few mails the gate may refuse it
    assert "12 " in capsys.readouterr().out


def test_no_scheduler(
    feedback: Path, models: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = current(models)
    arguments = ["retrain", "--feedback", str(feedback), "--models", str(models)]
    assert main([*arguments, "--corpus", str(corpus), "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert "no scheduler that answers" in capsys.readouterr().err
    assert current(models) == before


def test_no_workers(tmp_path: Path) -> None:
    with (
        running_cluster(tmp_path, 0) as running,
        pytest.raises(ClusterError, match="no workers"),
        open_cluster(running.url),
    ):
        pass


def test_a_worker_that_would_add_up_otherwise_is_refused(tmp_path: Path) -> None:
    with (
        running_cluster(tmp_path, 1, OPENBLAS_NUM_THREADS="2") as running,
        pytest.raises(ClusterError, match="OPENBLAS_NUM_THREADS"),
        open_cluster(running.url),
    ):
        pass


def test_a_fault_of_the_work_is_told_and_not_waited_for(cluster: RunningCluster) -> None:
    with open_cluster(cluster.url) as there, pytest.raises(ZeroDivisionError):
        list(run_parts(there, divmod, 1, [1, 0]))

"""Retraining on a Dask cluster: the same bundle, byte for byte, and a worker may die."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs the extra 'cluster'")

from harness.cluster import RunningCluster, running_cluster
from learning.retraining import (
    SETTINGS,
    file_pitches,
    make_corpus,
    make_models,
    octets,
    run,
)

from training.cli import main
from training.history import current
from training.jobs import ClusterError, open_cluster
from training.jobs import run as run_parts
from training.retrain import Order, Outcome, retrain

pytestmark = [
    # Of Dask's own, when connections end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:distributed"),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("data") / "corpus")


@pytest.fixture(scope="module")
def untouched(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("data") / "models", corpus)


@pytest.fixture
def models(untouched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(untouched, tmp_path / "models")


@pytest.fixture
def feedback(tmp_path: Path) -> Path:
    return file_pitches(tmp_path / "feedback", range(12))


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


@pytest.mark.parametrize("stage", ["reading mails", "fitting the candidate"])
def test_a_worker_that_dies_is_survived(
    stage: str, feedback: Path, models: Path, corpus: Path, cluster: RunningCluster, tmp_path: Path
) -> None:
    """It is killed in the middle: its part is done by the other one."""
    other = shutil.copytree(models, tmp_path / "other")
    here = run(feedback, models, corpus)
    killers: list[threading.Timer] = []

    def progress(now: str, done: int, _: int) -> None:
        if now == stage and not killers and (done or stage.startswith("fit")):
            killers.append(threading.Timer(0.4, cluster.workers[0].kill))
            killers[0].start()

    with open_cluster(cluster.url) as there:
        order = Order([feedback], other, corpus, fit=SETTINGS, jobs=there)
        found = retrain(order, progress)
    assert cluster.workers[0].wait(30) < 0
    assert octets(other, found.version) == octets(models, here.version)


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

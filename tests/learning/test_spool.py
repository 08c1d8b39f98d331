"""What is put aside comes back as it was; a model learned from it is the one learned in memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from learning.retraining import file_pitches, make_models, octets, run
from scipy.sparse import csr_matrix, diags, hstack
from scipy.sparse import random as random_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.utils import compute_class_weight

from training import spool
from training.cli import main
from training.data import read_corpus
from training.learner import ThemedRegression
from training.spool import Growing, Rows, Spool, SpoolError, taken
from training.vectorize import read_views

pytest_plugins = ["learning.fixtures"]


def matrix(rows: int = 50, columns: int = 30) -> csr_matrix:
    return random_matrix(rows, columns, 0.2, format="csr", rng=np.random.default_rng(7))


def test_octets_come_back_in_any_order() -> None:
    kept = Spool()
    mails = [bytes([i]) * i for i in range(200)]
    places = [kept.keep(mail) for mail in mails]
    assert [place.read() for place in reversed(places)] == mails[::-1]
    assert places[3] == Spool().keep(mails[3])
    assert places[3] != places[4]


@pytest.mark.parametrize("rows", [[], [3], [4, 5, 6, 7], [9, 2, 2, 40], list(range(50))])
def test_rows_that_are_taken_are_those_of_the_matrix(
    rows: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_ROWS", 3)
    whole, wanted = matrix(), np.array(rows, np.int64)
    found = taken(whole, wanted)
    assert found.shape == (len(rows), whole.shape[1])
    assert np.array_equal(found.toarray(), whole.toarray()[wanted])


def test_rows_that_stand_together_are_not_copied() -> None:
    grown = Growing(30)
    grown.add(matrix())
    whole = grown.matrix()
    few = taken(whole, np.arange(3, 6))
    assert np.shares_memory(few.data, whole.data)
    assert np.shares_memory(few.indices, whole.indices)


def test_a_matrix_grows_row_by_row() -> None:
    grown, whole = Growing(30), matrix()
    assert grown.matrix().shape == (0, 30)
    for number in range(whole.shape[0]):
        grown.add(whole[[number]])
    assert (grown.matrix() != whole).nnz == 0


@contextmanager
def files_of_at_most(octets: int) -> Iterator[None]:
    """No process may write longer files, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    grown = Growing(30)
    with files_of_at_most(100), pytest.raises(SpoolError, match=str(tmp_path)):
        grown.add(matrix())


def test_a_place_that_is_not_there_is_told_in_a_sentence(
    tmp_path: Path,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    assert main(["fit", "--corpus", str(corpus), "--models", str(tmp_path)]) == 2
    assert "TMPDIR" in capsys.readouterr().err


def test_a_corpus_is_read_in_the_order_of_its_names(corpus: Path) -> None:
    paths = sorted(corpus.glob("*/*/*/*.eml"))
    examples = read_corpus(corpus)
    assert [example.name for example in examples] == [
        path.relative_to(corpus).as_posix() for path in paths
    ]


def plain(
    rows: csr_matrix, labels: np.ndarray, groups: np.ndarray, sample: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercept as ``ThemedRegression`` learns them, all of it in memory."""
    rows = rows.copy()
    rows.sum_duplicates()
    columns = rows.tocsc()
    mails = np.split(columns.indices, columns.indptr[1:-1])
    kept = np.array([at for at, found in enumerate(mails) if len(set(groups[found])) >= 2])
    idf = np.log((1 + len(labels)) / (1 + np.diff(columns.indptr)[kept])) + 1
    scaled = rows[:, kept] @ diags(idf)
    if not sample.all():
        scaled = hstack([scaled, csr_matrix(sample[:, np.newaxis].astype(float))], format="csr")
    balance = compute_class_weight(
        "balanced", classes=np.unique(labels), y=labels[sample], sample_weight=np.ones(sample.sum())
    )
    model = LogisticRegression(
        C=4.0,
        class_weight=dict(zip(np.unique(labels), balance, strict=True)),
        fit_intercept=bool(sample.all()),
        max_iter=5000,
        random_state=0,
    ).fit(scaled, labels, sample_weight=np.ones(len(labels)))
    found = np.zeros((len(model.classes_), rows.shape[1]))
    found[:, kept] = model.coef_[:, : len(kept)] * idf
    return found, model.intercept_ if sample.all() else model.coef_[:, -1]


@pytest.mark.parametrize("all_sample", [True, False])
def test_what_is_learned_from_files_is_what_is_learned_in_memory(
    corpus: Path, all_sample: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_ROWS", 7)
    examples = read_corpus(corpus)[::3]
    rows = read_views(example.content for example in examples).whole[:, :50_000]
    labels = np.array([example.label for example in examples])
    groups = np.array([example.group for example in examples])
    sample = np.ones(len(examples), bool) if all_sample else np.arange(len(examples)) % 5 != 0
    weights = np.ones(len(examples))
    learner = ThemedRegression().fit(Rows.of(rows), labels, groups, weights, sample)
    coefficients, intercept = plain(rows, labels, groups, sample)
    assert learner.coef_.any(axis=0).sum() > 100
    assert np.array_equal(learner.coef_, coefficients)
    assert np.array_equal(learner.intercept_, intercept)


def test_how_many_rows_are_in_memory_is_of_no_matter(
    corpus: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Corpus and corrections, octet for octet."""
    feedback = file_pitches(tmp_path / "feedback", range(12))
    alone = (models / "current").read_text().strip()
    corrected = run(feedback, models, corpus).version
    assert corrected != alone
    monkeypatch.setattr(spool, "_ROWS", 97)
    again = make_models(tmp_path / "again", corpus)
    assert run(feedback, again, corpus).version == corrected
    for version in (alone, corrected):
        assert octets(again, version) == octets(models, version)

"""Learning: the same corpus gives the same octets, and the filter scores as scikit-learn does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from milter.mail.text import read_text
from milter.spam.bundle import LABELS, Bundle, open_bundle
from milter.spam.tokens import tokenize
from milter.spam.verdict import Score, decide, judge
from training.cli import main
from training.data import CorpusError, Example, digest, hard_share, newest_day, read_corpus
from training.fit import FitSettings, Fitted, fit, thresholds
from training.publish import publish, write_bundle

CORPUS = Path(__file__).resolve().parents[2] / "training" / "corpus"
SETTINGS = FitSettings()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """Every fourth mail of the corpus: quick to fit, and all labels and themes are in it."""
    return read_corpus(CORPUS)[::4]


@pytest.fixture(scope="module")
def fitted(examples: list[Example]) -> Fitted:
    return fit(examples, SETTINGS)


@pytest.fixture(scope="module")
def bundle(
    examples: list[Example], fitted: Fitted, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    return open_bundle(write_bundle(tmp_path_factory.mktemp("models"), fitted, examples, SETTINGS))


def test_the_filter_scores_as_scikit_learn(
    examples: list[Example], fitted: Fitted, bundle: Bundle
) -> None:
    contents = [example.content for example in examples]
    assert list(fitted.learner.classes_) == list(LABELS)
    for content, row in zip(contents, fitted.probabilities(contents), strict=True):
        score = judge(tokenize(read_text(content)), replace(bundle, too_little=0)).score
        assert score
        assert np.allclose([score.fake, score.genuine, score.none], row, rtol=0, atol=1e-9)


def test_the_judgement_has_that_score(examples: list[Example], bundle: Bundle) -> None:
    tokens = tokenize(read_text(examples[0].content))
    judgement = judge(tokens, bundle)
    assert judgement.score
    assert judgement.verdict == decide(judgement.score, bundle.thresholds)


def test_same_corpus_same_octets(examples: list[Example], fitted: Fitted, tmp_path: Path) -> None:
    """Fitted anew, in two processes, from the mails in another order of reading the folder."""
    again = fit(list(examples), SETTINGS, jobs=2)
    one = write_bundle(tmp_path / "one", fitted, examples, SETTINGS)
    two = write_bundle(tmp_path / "two", again, examples, SETTINGS)
    assert one.name == two.name
    for name in ("bundle.json", "weights.npz", "manifest.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_no_figure_comes_from_a_sibling(examples: list[Example], fitted: Fitted) -> None:
    """The out-of-fold figures are worse than those on learned mails; equal ones would be a leak."""
    labels = np.array([example.label for example in examples])
    learned = fitted.probabilities([example.content for example in examples])
    seen = np.array(LABELS)[learned.argmax(axis=1)]
    unseen = np.array(LABELS)[fitted.out_of_fold.argmax(axis=1)]
    assert (seen == labels).mean() > (unseen == labels).mean()


def test_thresholds_keep_to_the_budget() -> None:
    """Errors on everyday mail and on hard cases count by their shares of real mail."""
    labels = np.array(["none"] * 4000 + ["fake"] * 10)
    fake = np.concatenate([np.linspace(0, 0.5, 4000), np.full(10, 0.9)])
    hard = np.arange(len(labels)) % 4 == 0
    rows = np.stack([fake, np.zeros_like(fake), 1 - fake], axis=1)
    found = thresholds(rows, labels, labels != "fake", hard, SETTINGS)
    weight = np.where(hard, hard_share() / 1000, (1 - hard_share()) / 3000)[:4000]
    for threshold, budget in (
        (found.fake, SETTINGS.budget),
        (found.unsure, SETTINGS.unsure_budget),
    ):
        reached = weight[fake[:4000] >= threshold].sum()
        assert 0.6 * budget < reached <= budget
    assert decide(Score(0.9, 0.0, 0.1), found) == "fake"


def test_with_too_few_mails_to_show_the_budget_the_threshold_is_above_them_all() -> None:
    labels = np.array(["none"] * 200 + ["fake"] * 10)
    fake = np.concatenate([np.linspace(0, 0.7, 200), np.full(10, 0.9)])
    rows = np.stack([fake, np.zeros_like(fake), 1 - fake], axis=1)
    found = thresholds(rows, labels, labels != "fake", np.zeros(210, dtype=bool), SETTINGS)
    assert found.fake == pytest.approx(0.7001)


def test_the_manifest_tells_how_it_was_made(
    bundle: Bundle, tmp_path: Path, examples: list[Example], fitted: Fitted
) -> None:
    folder = write_bundle(tmp_path, fitted, examples, SETTINGS)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["version"] == bundle.version == folder.name
    assert manifest["data"] == {"mails": len(examples), "sha256": digest(examples)}
    assert manifest["settings"]["seed"] == SETTINGS.seed
    assert manifest["made_with"].keys() >= {"python", "scikit-learn", "numpy", "joblib"}
    wanted = manifest["out_of_fold"]["wanted_called_fake"]
    spam = manifest["out_of_fold"]["spam_called_fake"]
    assert wanted["everyday"]["mails"] + wanted["hard"]["mails"] + spam["mails"] == sum(
        example.label != "fake" for example in examples
    )
    assert folder.name.startswith(f"{newest_day(examples):%Y.%m.%d}-")


def test_publish_makes_it_current(fitted: Fitted, examples: list[Example], tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, fitted, examples, SETTINGS)
    publish(tmp_path, folder.name)
    assert (tmp_path / "current").read_text() == f"{folder.name}\n"
    assert main(["publish", "nothing", "--models", str(tmp_path)]) == 2
    assert (tmp_path / "current").read_text() == f"{folder.name}\n"


def test_a_corpus_that_cannot_be_learned_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--corpus", str(tmp_path / "no"), "--models", str(tmp_path)]) == 2
    (tmp_path / "spam" / "de" / "x").mkdir(parents=True)
    (tmp_path / "spam" / "de" / "x" / "1.eml").write_bytes(b"Subject: x\n\ny\n")
    with pytest.raises(CorpusError, match="'spam' is not a label"):
        read_corpus(tmp_path)
    assert main(["fit", "--corpus", str(tmp_path), "--models", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_shipped_corpus_is_what_it_should_be() -> None:
    examples = read_corpus(CORPUS)
    assert len(examples) >= 300
    for label in LABELS:
        assert sum(example.label == label for example in examples) >= 80
    assert {example.language for example in examples} >= {"de", "en"}
    assert len({example.content for example in examples}) == len(examples)

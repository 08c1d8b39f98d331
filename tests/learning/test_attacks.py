"""Small versions of the benchmarks of learning: they run to the end, and the guards hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import attacks, families, learning_curve
from learning.retraining import SETTINGS, make_corpus

from training.data import Example, read_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("data") / "corpus")


@pytest.fixture(scope="module")
def setting(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> attacks.Setting:
    return attacks.prepare(tmp_path_factory.mktemp("models"), corpus, SETTINGS)


def test_one_owner_fills_no_more_than_the_quota(setting: attacks.Setting) -> None:
    row = attacks.run(setting, "500 wanted mails as fake")
    assert row.fates["refused/quota-source"] >= 250
    assert row.faults == []


@pytest.mark.parametrize(
    ("name", "fate", "least"),
    [
        ("mails of 20 MB", "unreadable/too-large", 2),
        ("broken mails, links, pipe", "unreadable/not-a-mail", 5),
        ("broken mails, links, pipe", "unreadable/not-a-file", 4),
        ("files vanish", "withdrawn/vanished", 1),
    ],
)
def test_every_mail_has_a_fate(setting: attacks.Setting, name: str, fate: str, least: int) -> None:
    row = attacks.run(setting, name)
    assert row.fates[fate] >= least
    assert row.faults == []


def test_a_campaign_is_learned(corpus: Path) -> None:
    base = learning_curve.Base.of(corpus, SETTINGS, None, 1)
    course = learning_curve.Course(base, steps=(0, 5))
    before, after = learning_curve.curve(course, families.NAMES[0])
    assert (before.learned, after.learned) == (0, 5)
    assert after.caught > before.caught


def test_forked_processes_give_the_same_in_the_same_order(corpus: Path) -> None:
    examples = read_corpus(corpus)
    parts = range(5)
    one, two = (list(attacks.forked(_nth, examples, parts, jobs)) for jobs in (1, 2))
    assert one == two == [example.name for example in examples[:5]]


def _nth(examples: list[Example], number: int) -> str:
    return examples[number].name

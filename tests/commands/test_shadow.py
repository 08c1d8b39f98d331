"""``coop-verdict shadow-report``: what would have happened, told from the index."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from spam.tiny import NAME, write_bundle, write_models

from milter import cli, keys, seen
from milter.seen import Seen
from milter.shadow import CASES, summary

NOW = time.time()
NOON = time.mktime((2026, 11, 20, 12, 0, 0, 0, 0, -1))

Run = Callable[..., tuple[int, str, str]]


def passage(verdict: str = "fake", score: float | None = 0.95, **changed: Any) -> Seen:
    usual: dict[str, Any] = {
        "time": NOW - 60,
        "id": "3f2a91c0aa",
        "message_id": "",
        "body": "",
        "verdict": verdict,
        "score": score,
        "reason": "",
        "asks": ["link"],
        "offers": [],
        "model": NAME,
        "reply": 250,
        "action": "nothing",
        "would": "tag",
    }
    return Seen(**usual | changed)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A settings file with models and index below ``tmp_path``."""
    models = write_models(tmp_path / "models")
    path = tmp_path / "settings.toml"
    text = f"[model]\nfolder = '{models}'\n[journal]\nfolder = '{tmp_path / 'state'}'\n"
    path.write_text(text + "[policy]\nshadow = true\ndefault = 'quarantine'\n", encoding="utf-8")
    (tmp_path / "state").mkdir()
    keys.make(tmp_path / "state" / seen.KEY)
    return path


@pytest.fixture
def run(config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command: exit status, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "200")

    def run_it(*arguments: object) -> tuple[int, str, str]:
        command = ["shadow-report", "--config", str(config), *map(str, arguments)]
        status = cli.main(command)
        return status, *capfd.readouterr()

    return run_it


def write(config: Path, *passages: Seen) -> None:
    lines = [json.dumps(asdict(passage)) + "\n" for passage in passages]
    (config.with_name("state") / seen.NAME).write_text("".join(lines))


def margins(*passages: Seen) -> list[float]:
    return [case.margin for case in summary(passages, lambda _: 0.9, 0.0).cases]


def test_each_fake_counts_where_it_would_have_gone() -> None:
    days = summary(
        [
            passage(time=NOON, would="tag"),
            passage(time=NOON, would="tag-subject"),
            passage(time=NOON, would="quarantine,tag"),
            passage(time=NOON, would=""),  # the wish is to do nothing
            passage(time=NOON, action="quarantine", would=""),  # not in shadow
            passage(time=NOON, action="", would=""),  # an older filter's line
            passage("unsure", 0.7, time=NOON),
            passage("unscored", None, reason="timeout", time=NOON),
            passage("none", 0.0, time=NOON + 86400),
        ],
        lambda _: 0.9,
        0.0,
    ).days
    first, second = (asdict(day) for day in days)
    assert first == {
        "day": "2026-11-20",
        "mails": 8,
        "fake": 6,
        "tagged": 3,
        "subject_marked": 1,
        "held": 2,
        "left_alone": 1,
        "unsure": 1,
        "unscored": 1,
    }
    assert (second["day"], second["mails"], second["fake"]) == ("2026-11-21", 1, 0)


def test_what_was_not_delivered_does_not_count() -> None:
    """The sender tries again: one mail would be counted ten times."""
    passages = [passage(reply=code) for code in (451, 0, 554, 250)]
    report = summary(passages, lambda _: 0.9, 0.0)
    assert (report.refused, report.total.mails, len(report.cases)) == (3, 1, 1)


def test_the_least_sure_are_from_both_sides() -> None:
    sure = [passage("none", 0.01), passage("fake", 0.999)] * 100
    near_above = [passage("fake", 0.9 + n / 100) for n in range(8)]
    near_below = [passage("unsure", 0.89 - n / 1000) for n in range(8)]
    found = margins(*sure, *near_below, *near_above, *sure)
    assert len(found) == CASES
    assert sorted(m for m in found if m >= 0) == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04])
    below = sorted((m for m in found if m < 0), reverse=True)
    assert below == pytest.approx([-0.01, -0.011, -0.012, -0.013, -0.014])
    assert [abs(m) for m in found] == sorted(abs(m) for m in found)


@pytest.mark.parametrize("fakes", [0, 3, 20])
def test_where_one_side_has_few_the_other_fills_up(fakes: int) -> None:
    wanted = 20 - fakes
    found = margins(*[passage("fake", 0.95)] * fakes, *[passage("none", 0.3)] * wanted)
    assert len(found) == CASES
    assert sum(m >= 0 for m in found) == {0: 0, 3: 3, 20: CASES}[fakes]


def test_whose_word_it_was_not_is_no_case_of_the_models() -> None:
    """A sender was refused or known: the score says nothing of how sure that was."""
    assert margins(passage(reason="refused-sender"), passage("unsure", 0.95, reason="thread")) == []


def test_any_order_gives_the_same_counts() -> None:
    passages = [passage(score=0.9 + n / 100, time=NOON + 86400 * n) for n in range(4)]
    reports = [summary(order, lambda _: 0.9, 0.0) for order in itertools.permutations(passages)]
    assert all(report.days == reports[0].days for report in reports)
    assert all(report.cases == reports[0].cases for report in reports)


def test_in_plain_words(run: Run, config: Path) -> None:
    fakes = [passage(would="quarantine", score=0.91 + n / 100, id=f"fake{n}") for n in range(3)]
    write(config, *fakes, passage("none", 0.2, id="wanted", offers=["reach"]))
    status, out, err = run()
    assert (status, err) == (cli.OK, "")
    first = out.splitlines()[0]
    assert first.startswith("What would have been done with 4 mails since ")
    assert "Shadow mode is on: nothing was done to any mail." in first
    rows = [line.split() for line in out.splitlines()]
    assert [time.strftime("%Y-%m-%d", time.localtime(NOW - 60)), *"4 3 0 0 3 0 0 0".split()] in rows
    (case,) = [row for row in rows if "fake0" in row]
    assert case[2:] == ["fake0", "fake", "0.91", "+0.010", "link", "-"]
    assert any(row[-2:] == ["link", "reach"] for row in rows)
    assert "3 mails held back: a wanted one among them is not in the inbox" in out
    assert "Quarantine is not armed" in out
    assert "set shadow = false under [policy]" in out


def test_json_says_the_same(run: Run, config: Path) -> None:
    write(config, passage(would="quarantine"), passage("none", 0.2), passage(reply=451))
    status, out, _ = run("--json")
    assert status == cli.OK
    told = json.loads(out)
    assert list(told) == [
        *("shadow", "since", "days", "total", "not_taken"),
        *("least_sure", "armed", "costs", "next"),
    ]
    assert (told["shadow"], told["armed"], told["not_taken"]) == (True, False, 1)
    assert (told["total"]["mails"], told["total"]["held"]) == (2, 1)
    assert [case["margin"] for case in told["least_sure"]] == [0.05, -0.7]


def test_only_the_last_days(run: Run, config: Path) -> None:
    write(config, passage(time=NOW - 10 * 86400), passage(time=NOW - 2 * 86400), passage())
    counts = [json.loads(run("--json", "--days", n)[1])["total"]["mails"] for n in (1, 7, 30)]
    assert counts == [1, 2, 3]


def test_each_model_has_its_own_threshold(run: Run, config: Path) -> None:
    thresholds = {"fake": 0.6, "unsure": 0.5, "genuine": 0.5}
    write_bundle(config.with_name("models") / "old", version="old", thresholds=thresholds)
    write(config, passage(model="old"), passage(model="gone-by-now"), passage(model="../x"))
    told = json.loads(run("--json")[1])
    assert [case["margin"] for case in told["least_sure"]] == [0.05, 0.05, 0.35]


def test_with_no_index_it_says_where_it_looked(run: Run, config: Path) -> None:
    status, out, _ = run()
    assert status == cli.OK
    assert "0 mails" in out
    assert str(config.with_name("state")) in out


def test_nothing_of_a_line_reaches_the_terminal_as_it_is(run: Run, config: Path) -> None:
    write(config, passage(id="a\x1b[31m[red]", asks=["\u202elink", "[/x]"]))
    out = run()[1]
    assert not set(out) & set("\x1b\u202e")
    assert "[red]" in out


@pytest.mark.parametrize("given", ["0", "-1", "x", "1.5", "99999999999", "²"])
def test_a_number_of_days_that_is_none(given: str, run: Run, capfd: Any) -> None:
    with pytest.raises(SystemExit) as refused:
        run(f"--days={given}")
    assert refused.value.code == cli.REFUSED
    assert "is not a number of days" in capfd.readouterr().err

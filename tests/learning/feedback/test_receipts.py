"""Receipts: a line a mail, of the last retrain and of what is there no more."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from harness.feedback import collected, letter, outcome, put

from training.feedback import receipts
from training.feedback.mails import Fate

LEARNED = Fate("a" * 64, "1@x.example", "fake", "fake/1.eml", "learned", "")
KNOWN = Fate("b" * 64, "2@x.example", "fake", "fake/2.eml", "known", "near-duplicate")
LINKED = Fate("", "", "fake", "fake/3.eml", "unreadable", "not-a-file")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fates = receipts.settled([LEARNED, KNOWN, LINKED], "2026.11.23-3f2a91c")
    receipts.write_receipts(tmp_path, fates)
    assert receipts.load(tmp_path) == fates
    assert fates[0].model == "2026.11.23-3f2a91c"
    assert fates[1].model == ""
    line = json.loads((tmp_path / receipts.NAME).read_text().splitlines()[0])
    assert line["outcome"] == "learned"
    assert [path.name for path in tmp_path.iterdir()] == [receipts.NAME]


def test_a_refused_candidate_has_taught_nothing() -> None:
    assert [outcome(fate) for fate in receipts.turned_down([LEARNED, KNOWN])] == [
        "refused/gate",
        "known/near-duplicate",
    ]


def test_a_mail_that_is_there_no_more_is_withdrawn_until_it_comes_back(tmp_path: Path) -> None:
    receipts.write_receipts(tmp_path, receipts.settled([LEARNED, KNOWN, LINKED], "m1"))
    receipts.write_receipts(tmp_path, [KNOWN])
    gone = replace(LEARNED, outcome="withdrawn", reason="gone")
    assert receipts.load(tmp_path) == [gone, KNOWN]
    receipts.write_receipts(tmp_path, [KNOWN])
    assert receipts.load(tmp_path) == [gone, KNOWN]
    receipts.write_receipts(tmp_path, [LEARNED, KNOWN])
    assert receipts.load(tmp_path) == [LEARNED, KNOWN]


def test_found_by_id_and_by_key(tmp_path: Path) -> None:
    receipts.write_receipts(tmp_path, [LEARNED, KNOWN, LINKED])
    assert receipts.find(tmp_path, "<1@x.example>") == [LEARNED]
    assert receipts.find(tmp_path, "b" * 64) == [KNOWN]
    assert receipts.find(tmp_path, "") == []


def test_damaged_lines_and_no_file_stop_nothing(tmp_path: Path) -> None:
    assert receipts.load(tmp_path) == []
    receipts.write_receipts(tmp_path, [LEARNED])
    with (tmp_path / receipts.NAME).open("ab") as file:
        file.write(b'\xff\xfe\n{"key": 5}\n[]\nnull\n{"key": "c", "outc')
    assert receipts.load(tmp_path) == [LEARNED]


def test_every_mail_of_a_retrain_has_one(tmp_path: Path) -> None:
    feedback, models = tmp_path / "feedback", tmp_path / "models"
    models.mkdir()
    for number in range(5):
        put(feedback / "fake" / f"{number}.eml", letter(number % 3))
    receipts.write_receipts(models, collected(feedback).fates)
    assert {fate.source for fate in receipts.load(models)} == {
        str(feedback / "fake" / f"{number}.eml") for number in range(5)
    }


def test_receipts_are_not_for_every_user_of_the_machine(tmp_path: Path) -> None:
    receipts.write_receipts(tmp_path, [])
    assert (tmp_path / "receipts.jsonl").stat().st_mode & 0o777 == 0o640

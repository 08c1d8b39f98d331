"""One label a mail, whoever filed it wherever; and what is there is all that counts."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
from harness.feedback import collected, fates, learned, letter, prose, put

from milter.mail.folder import as_content
from milter.mail.text import read_text
from training.feedback import near
from training.feedback.mails import Collected
from training.feedback.near import leaders, shingles


def test_the_later_move_wins(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1), moved=100)
    put(tmp_path / "none" / "1.eml", letter(1), moved=200)
    put(tmp_path / "fake" / "2.eml", letter(2), moved=200)
    put(tmp_path / "genuine" / "2.eml", letter(2), moved=100)
    found = collected(tmp_path)
    assert learned(found) == [("1@site.example", "none"), ("2@site.example", "fake")]
    assert fates(found) == ["known/duplicate"] * 2 + ["learned"] * 2


def test_at_the_same_time_the_harmless_label_wins(tmp_path: Path) -> None:
    for label in ("fake", "genuine", "none"):
        put(tmp_path / label / "1.eml", letter(1))
    assert learned(collected(tmp_path)) == [("1@site.example", "none")]


def file_for(root: Path, **labels: str) -> Collected:
    """One mail filed by several owners; in each one's name the label."""
    for owner, label in labels.items():
        put(root / owner / label / "1.eml", letter(1))
    return collected(root)


def test_owners_who_disagree_teach_nothing(tmp_path: Path) -> None:
    found = file_for(tmp_path, anna="fake", bert="none")
    assert fates(found) == ["refused/conflict"] * 2
    found = file_for(tmp_path, carl="fake", dora="none", emil="fake")
    assert fates(found) == ["refused/conflict"] * 5


def test_twice_as_many_owners_win(tmp_path: Path) -> None:
    found = file_for(tmp_path, anna="fake", bert="none", carl="none")
    assert learned(found) == [("1@site.example", "none")]
    assert fates(found) == ["known/duplicate", "learned", "refused/conflict"]


def test_two_others_count_together(tmp_path: Path) -> None:
    found = file_for(tmp_path, a="fake", b="fake", c="none", d="genuine")
    assert fates(found) == ["refused/conflict"] * 4


def test_many_copies_of_one_owner_are_one_vote(tmp_path: Path) -> None:
    for number in range(9):
        put(tmp_path / "anna" / "fake" / f"{number}.eml", letter(1))
    found = file_for(tmp_path, bert="none")
    assert learned(found) == []
    assert fates(found) == ["known/duplicate"] * 8 + ["refused/conflict"] * 2


def siblings(number: int) -> bytes:
    """The same pitch with another greeting."""
    return letter(number, body=f"Hello number{number},\n\n{prose(77, 150)}")


def test_near_duplicates_count_once(tmp_path: Path) -> None:
    for number in range(6):
        put(tmp_path / "fake" / f"{number}.eml", siblings(number))
    put(tmp_path / "fake" / "other.eml", letter(50))
    found = collected(tmp_path)
    assert fates(found) == ["known/near-duplicate"] * 5 + ["learned"] * 2
    keys = [fate.key for fate in found.fates if fate.message_id != "50@site.example"]
    assert min(keys) in {mail.key for mail in found.mails}


def test_the_threshold_is_a_setting(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path / "fake" / f"{number}.eml", siblings(number))
    assert len(collected(tmp_path, near_duplicate=1.0).mails) == 3


def test_one_text_is_never_learned_under_two_labels(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "1.eml", siblings(1), moved=100)
    put(tmp_path / "none" / "2.eml", siblings(2), moved=200)
    found = collected(tmp_path)
    assert learned(found) == [("2@site.example", "none")]
    assert fates(found) == ["known/near-duplicate", "learned"]
    put(tmp_path / "bert" / "fake" / "3.eml", siblings(3))
    assert fates(collected(tmp_path)) == ["refused/conflict"] * 3


def test_short_mails_are_compared_as_a_whole(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1, body="Haben Sie Interesse?", Subject="Link"))
    put(tmp_path / "fake" / "2.eml", letter(2, body="Haben Sie Interesse?", Subject="Link"))
    put(tmp_path / "fake" / "3.eml", letter(3, body="Haben Sie Fragen?", Subject="Link"))
    assert fates(collected(tmp_path)) == ["known/near-duplicate", "learned", "learned"]


@pytest.mark.parametrize("seed", range(5))
def test_the_index_finds_what_comparing_all_pairs_finds(seed: int) -> None:
    source = random.Random(seed)
    mails = {
        f"{n:03}": frozenset(source.sample(range(60), source.randint(1, 40))) for n in range(80)
    }
    for threshold in (0.5, 0.8, 1.0):
        plain: dict[str, str] = {}
        for key, own in mails.items():
            near = (
                other
                for other, leader in plain.items()
                if other == leader
                and 2 * len(own & mails[other]) >= threshold * (len(own) + len(mails[other]))
            )
            plain[key] = next(near, key)
        found = leaders(mails, lambda key: np.array(sorted(mails[key])), threshold)
        assert found == plain


def test_mails_of_a_few_paragraphs_are_not_compared_pair_by_pair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has something of nearly all others; a copy of one is found all the same."""
    most, number, source = 10, 300, random.Random(3)
    monkeypatch.setattr(near, "_MOST_COMPARED", most)
    mails = {f"{n:03}": source.sample(range(200), 40) for n in range(number)}
    mails["copy"] = mails["007"]
    asked: list[str] = []

    def shingles(key: str) -> np.ndarray:
        asked.append(key)
        return np.array(sorted(mails[key]))

    assert leaders(mails, shingles, 0.8) == {key: key for key in mails} | {"copy": "007"}
    assert len(asked) < (2 * most + 3) * len(mails)  # of all pairs there are seven times as many


def test_shingles_of_a_long_mail_are_bounded() -> None:
    text = read_text(as_content(letter(1, body=" ".join(map(str, range(5000))))))
    assert len(shingles(text)) < 600


def test_neither_the_order_of_a_folder_nor_earlier_runs_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        label = ("fake", "none")[number % 2]
        owner = "abc"[number % 3]
        put(tmp_path / owner / label / f"{number}.eml", siblings(number // 8), moved=number)
        put(tmp_path / owner / label / f"l{number}.eml", letter(number % 30), moved=number)
    first = collected(tmp_path, owner_quota=3)
    real = os.scandir

    class Shuffled:
        def __init__(self, folder: Path) -> None:
            with real(folder) as entries:
                self.entries = list(entries)
            random.Random(3).shuffle(self.entries)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *_: object) -> None:
            return None

    monkeypatch.setattr(os, "scandir", Shuffled)
    assert collected(tmp_path, owner_quota=3) == first


def test_a_mail_that_is_taken_out_is_forgotten(tmp_path: Path) -> None:
    for number in range(30):
        put(tmp_path / "fake" / f"{number}.eml", letter(number), moved=number)
    before = collected(tmp_path, owner_quota=10)
    extra = [
        put(tmp_path / "fake" / "x.eml", letter(99), moved=500),
        put(tmp_path / "none" / "3.eml", letter(29), moved=600),
    ]
    assert collected(tmp_path, owner_quota=10) != before
    for path in extra:
        path.unlink()
    (tmp_path / "none").rmdir()
    assert collected(tmp_path, owner_quota=10) == before

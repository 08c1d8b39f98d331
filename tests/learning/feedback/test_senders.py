"""Whose mail is believed less: senders of filed pitches, but for those who have to be spared."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest
from harness.feedback import collected, fates, letter, prose, put

from milter.spam.features import sender_id

SPAM, PAPER = "ann@spam.example", "ed@paper.example"


def file(folder: Path, label: str, sender: str, number: int = 1, **fields: str) -> None:
    path = folder / "anna" / label / f"{sender.partition('@')[0]}-{number}.eml"
    put(path, letter(number, sender=sender, **fields))


def test_senders_of_pitches_and_of_nothing_else(tmp_path: Path) -> None:
    file(tmp_path, "fake", SPAM, 1)
    file(tmp_path, "fake", "Ann.Links+1@Gmail.com", 2)
    file(tmp_path, "none", PAPER, 3)
    assert collected(tmp_path).senders == {"spam.example", "annlinks@gmail.com"}


def test_one_wanted_mail_clears(tmp_path: Path) -> None:
    """Also where it is not learned itself: a near-duplicate, or beyond its owner's quota."""
    for number in range(3):
        file(tmp_path, "fake", SPAM, number)
    file(tmp_path, "none", SPAM, 7)
    file(tmp_path, "genuine", PAPER, 8)
    assert collected(tmp_path, owner_quota=1).senders == frozenset()
    same = tmp_path / "anna" / "none" / "same.eml"
    put(same, letter(9, body=prose(7), sender=PAPER))
    file(tmp_path, "fake", PAPER, 10)
    found = collected(tmp_path)
    assert "known/near-duplicate" in fates(found)
    assert found.senders == frozenset()


def test_the_same_text_from_three_sites_tells_all_of_them(tmp_path: Path) -> None:
    for number in range(3):
        put(
            tmp_path / "anna" / "fake" / f"{number}.eml",
            letter(number, body=prose(1), sender=f"a@spam{number}.example"),
        )
    assert collected(tmp_path).senders == {f"spam{number}.example" for number in range(3)}


@pytest.mark.parametrize(
    "settings",
    [
        {"trusted_senders": ("ed@paper.example",)},
        {"trusted_senders": ("paper.example",)},
        {"own_domains": ("paper.example",)},
        {"own_domains": ("mail.paper.example",)},
        {"shared_domains": ("paper.example",)},
    ],
)
def test_whom_the_settings_name_is_spared(
    tmp_path: Path, settings: dict[str, tuple[str, ...]]
) -> None:
    """However a pitch names them: as its author, or as whom to answer."""
    file(tmp_path, "fake", PAPER, 1)
    file(tmp_path, "fake", SPAM, 2, Reply_To=PAPER)
    assert collected(tmp_path, **settings).senders == frozenset()
    assert collected(tmp_path).senders == {"paper.example"}


def test_a_form_on_ones_own_site_tells_its_visitor(tmp_path: Path) -> None:
    form = "wordpress@home.example"  # where the mails go to
    file(tmp_path, "fake", form, 1)
    assert collected(tmp_path).senders == frozenset()
    file(tmp_path, "fake", form, 2, Reply_To=SPAM)
    assert collected(tmp_path).senders == {"spam.example"}


def test_nobody_hides_in_the_recipients_where_ones_own_are_known(tmp_path: Path) -> None:
    file(tmp_path, "fake", SPAM, 1, To=SPAM)
    assert collected(tmp_path, own_domains=("home.example",)).senders == {"spam.example"}


def test_a_pitch_that_is_refused_tells_of_nobody(tmp_path: Path) -> None:
    file(tmp_path, "fake", SPAM, 1, List_Id="<talk.list.example>")
    assert collected(tmp_path).senders == frozenset()


def test_two_names_with_one_hash_are_cleared_together(tmp_path: Path) -> None:
    """Else somebody could take a name with which another one is never cleared."""
    twin = next(
        name
        for number in count()
        if sender_id(name := f"links{number}@gmail.com") == sender_id("paper.example")
    )
    file(tmp_path, "fake", twin, 1)
    assert collected(tmp_path).senders == {twin}
    file(tmp_path, "none", PAPER, 2)
    assert collected(tmp_path).senders == frozenset()

"""What a person says of a held mail lies where retraining looks."""

from __future__ import annotations

from pathlib import Path

import pytest
from quarantine.mails import ANNA, mail, tagged

from milter.quarantine.feedback import file_feedback
from training.feedback.folders import Filed, scan
from training.feedback.settings import FeedbackSettings

ITEM = "0123456789abcdef"


def filed(folder: Path) -> list[Filed]:
    """What a retraining would read."""
    notes: list[str] = []
    found = list(scan([folder], FeedbackSettings(), notes))
    assert all(isinstance(each, Filed) for each in found)
    return [each for each in found if isinstance(each, Filed)]


@pytest.mark.parametrize("label", ["fake", "genuine", "none"])
def test_retraining_finds_it(label: str, tmp_path: Path) -> None:
    path = file_feedback(tmp_path / "feedback", ANNA, ITEM, label, tagged(mail()))
    (one,) = filed(tmp_path / "feedback")
    assert (one.label, one.owner, one.octets) == (label, ANNA, mail())
    assert path == tmp_path / "feedback" / ANNA / label / f"{ITEM}.eml"


def test_the_last_word_counts(tmp_path: Path) -> None:
    for label in ("fake", "none", "none", "genuine"):
        file_feedback(tmp_path, ANNA, ITEM, label, mail())
        assert [one.label for one in filed(tmp_path)] == [label]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = file_feedback(tmp_path / "new" / "feedback", ANNA, ITEM, "fake", mail())
    modes = [each.stat().st_mode & 0o777 for each in (path, *list(path.parents)[:4])]
    assert modes == [0o600, 0o700, 0o700, 0o700, 0o700]


def test_an_odd_recipient_stays_within(tmp_path: Path) -> None:
    folder = tmp_path / "feedback"
    path = file_feedback(folder, "../../x@example.net", ITEM, "fake", mail())
    assert path.resolve().is_relative_to(folder)
    assert [one.label for one in filed(folder)] == ["fake"]


def test_what_cannot_be_filed_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / ANNA).mkdir()
    (tmp_path / ANNA / "fake").write_text("in the way")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        file_feedback(tmp_path, ANNA, ITEM, "fake", mail())
    assert [path.name for path in tmp_path.rglob("*")] == [ANNA, "fake"]

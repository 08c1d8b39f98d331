"""What is remembered is right, and bounded whatever strangers write."""

from __future__ import annotations

import pytest

from milter.spam import memory
from milter.spam.memory import LONGEST, Memory


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(memory, "GENERATION", 3)
    return []


def remembering(asked: list[str]) -> Memory[int]:
    def length(key: str) -> int:
        asked.append(key)
        return len(key)

    return Memory(length)


def test_a_value_is_made_once(asked: list[str]) -> None:
    made = remembering(asked)
    assert [made[key] for key in ("a", "bb", "a", "bb", "")] == [1, 2, 1, 2, 0]
    assert asked == ["a", "bb", ""]


def test_long_keys_are_not_kept(asked: list[str]) -> None:
    made = remembering(asked)
    key = "k" * (LONGEST + 1)
    assert made[key] == made[key] == len(key)
    assert asked == [key, key]
    assert not made


def test_its_size_is_bounded_and_what_is_in_use_stays(asked: list[str]) -> None:
    made = remembering(asked)
    for number in range(50):
        assert made[str(number)] == len(str(number))
        assert made["always"] == 6
        assert len(made) <= 3
    assert asked.count("always") == 1


def test_it_forgets_both_generations_at_once(asked: list[str]) -> None:
    made = remembering(asked)
    for key in "abcdef":
        made[key]
    made.clear()
    asked.clear()
    for key in "abcdef":
        made[key]
    assert asked == list("abcdef")

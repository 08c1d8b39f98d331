"""What a crash must not leave half done; that it does not, the tests that kill writers show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from milter import durable


@pytest.fixture(params=[0o000, 0o077], autouse=True)
def _umask(request: pytest.FixtureRequest):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_has_the_mode_that_was_asked_for(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "x"
    for octets in (b"one", b"two"):
        durable.replace(path, octets, mode)
        assert path.read_bytes() == octets
        assert path.stat().st_mode & 0o777 == mode
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_put_in_place_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x" / "y").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        durable.replace(tmp_path / "x", b"one")
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one")
    with pytest.raises(FileExistsError):
        durable.write(path, [b"two"])
    assert path.read_bytes() == b"one"


def test_nobody_reads_what_is_being_written(tmp_path: Path) -> None:
    """Whoever opens a file early reads on, whatever its mode is later."""
    path = tmp_path / "x"

    def pieces():
        modes.append(path.stat().st_mode & 0o777)
        yield b"one"

    modes: list[int] = []
    durable.write(path, pieces(), 0o600)
    assert modes == [0o600]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    one, two = (durable.aside_of(tmp_path / "x") for _ in range(2))
    assert one != two
    assert one.parent == two.parent == tmp_path
    assert one.name.startswith(durable.ASIDE)

"""What goes from the disk, and when; nothing else, and nothing sooner."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from unittest import mock

import pytest
from quarantine.mails import ANNA, BERT, files, held, hold, ids

from milter.errors import NotHeld, QuarantineError
from milter.quarantine import record
from milter.quarantine.record import locked
from milter.quarantine.store import Quarantine, Query, State

DAY = 86400.0
EVERYTHING = Query(states=())


def expired(quarantine: Quarantine, days: float) -> int:
    """Expire with 30 days, so many days from now."""
    then = time.time() + days * DAY
    with mock.patch("time.time", return_value=then):
        return quarantine.expire(then, 30)


def test_what_is_deleted_is_gone_and_on_record(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    quarantine.delete(item, "anna")
    assert quarantine.item(item).state is State.DELETED
    assert quarantine.item(item).by == "anna"
    assert ids(quarantine) == []
    assert ids(quarantine, EVERYTHING) == [item]
    assert [Path(name).parent.name for name in files(folder)] == ["held"]
    with pytest.raises(NotHeld, match=r"was deleted already, .* by anna"):
        quarantine.delete(item, "bert")


def test_what_is_old_is_deleted_and_nothing_younger(quarantine: Quarantine, folder: Path) -> None:
    items = [held(quarantine), held(quarantine, BERT)]
    assert expired(quarantine, 29.9) == 0
    assert expired(quarantine, 30.1) == 2
    assert expired(quarantine, 30.1) == 0
    assert {quarantine.item(item).state for item in items} == {State.EXPIRED}
    assert list(folder.glob("*/new/*")) == []


def test_records_stay_for_as_long_again(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    expired(quarantine, 31)
    expired(quarantine, 60.9)
    assert ids(quarantine, EVERYTHING) == [item]
    expired(quarantine, 61.1)
    assert ids(quarantine, EVERYTHING) == files(folder) == []
    with pytest.raises(NotHeld):
        quarantine.item(item)


def test_the_record_of_what_was_taken_out_goes_too(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    (path,) = (folder / ANNA / "new").iterdir()
    path.unlink()
    expired(quarantine, 0)
    assert [event.state for event in quarantine.history(item)] == [State.GONE]
    expired(quarantine, 30.1)
    assert files(folder) == []


def test_what_comes_back_is_held_again(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    (path,) = (folder / ANNA / "new").iterdir()
    elsewhere = path.rename(folder.parent / path.name)
    expired(quarantine, 0)
    assert quarantine.item(item).state is State.GONE
    elsewhere.rename(folder / ANNA / "cur" / (path.name + ":2,S"))
    quarantine.reconcile()
    assert ids(quarantine, Query(states=[State.HELD])) == [item]


def test_what_the_filter_has_to_deliver_stays(quarantine: Quarantine) -> None:
    item = held(quarantine, state=State.DEFERRED)
    assert expired(quarantine, 1000) == 0
    assert quarantine.deferred() == [item]


def test_what_is_being_released_stays(quarantine: Quarantine, folder: Path) -> None:
    item = held(quarantine)
    with locked(folder / ANNA / "held" / f"{item}.jsonl"):
        assert expired(quarantine, 31) == 0
    assert expired(quarantine, 31) == 1


def test_leftovers_of_a_crash_go_after_36_hours(quarantine: Quarantine, folder: Path) -> None:
    hold(quarantine, ANNA, BERT)  # and then the filter was killed
    kept = files(folder)
    assert len(kept) == 4
    expired(quarantine, 1.4)
    assert files(folder) == kept
    expired(quarantine, 1.6)
    assert files(folder) == []


def test_what_was_killed_behind_its_last_event_is_finished(
    quarantine: Quarantine, folder: Path
) -> None:
    """The record says deleted, and the mail is still there."""
    item = held(quarantine)
    with locked(folder / ANNA / "held" / f"{item}.jsonl") as one:
        assert one
        one.append(State.DELETED, "anna")
    with pytest.raises(NotHeld, match="deleted"):
        quarantine.content(item)
    quarantine.reconcile()
    assert list(folder.glob("*/new/*")) == []
    assert ids(quarantine) == []


def test_on_a_full_disk_mails_can_be_deleted(quarantine: Quarantine, folder: Path) -> None:
    """Which makes the room for saying so."""
    real = record._append

    def full(file: int, line: bytes) -> int:
        if list(folder.glob("*/new/*")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(file, line)

    item = held(quarantine)
    with mock.patch.object(record, "_append", full):
        quarantine.delete(item, "anna")
    assert quarantine.item(item).state is State.DELETED


def test_what_cannot_be_put_on_record_is_told_in_words(quarantine: Quarantine) -> None:
    item = held(quarantine)
    fault = OSError(errno.EROFS, os.strerror(errno.EROFS))
    with mock.patch.object(record, "_append", side_effect=fault):
        assert expired(quarantine, 31) == 0
    other = held(quarantine)
    with (
        mock.patch.object(record, "_append", side_effect=fault),
        pytest.raises(QuarantineError, match="cannot be read or written: Read-only file system"),
    ):
        quarantine.delete(other, "anna")
    assert quarantine.item(item).state is State.GONE

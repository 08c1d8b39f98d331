"""What is remembered: found again, by several processes, and never at the cost of a mail."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from milter.trust import memory
from milter.trust.memory import Memory

DAY = 86400
ANNA, BERT = "anna@example.org", "bert@example.net"
TOPIC = "a partnership for your page"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def known(tmp_path: Path, clock: Clock) -> Memory:
    return Memory(tmp_path / "state", clock=clock)


def test_correspondents(known: Memory) -> None:
    assert not known.knows(ANNA)
    known.learn([ANNA, "clara@example.com"])
    known.learn([ANNA])
    assert known.knows(ANNA)
    assert not known.knows(BERT)


def test_fakes_are_known_by_id_and_topic_of_their_author(known: Memory) -> None:
    known.call_fake([b"1@x"], TOPIC, ANNA, 0.99)
    known.call_fake([b"2@x"], "", ANNA, None)
    assert known.called_fake([b"0@x", b"1@x"], "", ANNA)
    assert known.called_fake([b"2@x"], "", ANNA)
    assert known.called_fake([], TOPIC, ANNA)
    assert not known.called_fake([b"1@x"], TOPIC, BERT)
    assert not known.called_fake([b"3@x"], "another topic altogether", ANNA)
    assert not known.called_fake([], "", ANNA)


def test_a_topic_is_its_authors_own(known: Memory) -> None:
    known.call_fake([], TOPIC, ANNA, 0.9)
    known.call_fake([], TOPIC, BERT, 0.9)
    assert known.called_fake([], TOPIC, ANNA)
    assert known.called_fake([], TOPIC, BERT)


def test_a_fake_that_was_none_is_forgotten(known: Memory) -> None:
    known.call_fake([b"1@x"], TOPIC, ANNA, 0.99)
    known.forget_fake([b"1@x"], TOPIC, ANNA)
    assert not known.called_fake([b"1@x"], TOPIC, ANNA)


@pytest.mark.parametrize(
    ("days", "by_id", "by_topic"), [(29, True, True), (31, True, False), (61, False, False)]
)
def test_fakes_fade(known: Memory, clock: Clock, days: int, by_id: bool, by_topic: bool) -> None:
    known.call_fake([b"1@x"], TOPIC, ANNA, 0.99)
    clock.now += days * DAY
    assert known.called_fake([b"1@x"], "", ANNA) is by_id
    assert known.called_fake([], TOPIC, ANNA) is by_topic


def test_the_oldest_go_when_there_are_too_many(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_TRIM_EVERY", 100)
    known = Memory(tmp_path, most=10, clock=clock)
    for number in range(301):  # the size is looked at now and then
        clock.now += 1
        known.learn([f"{number}@example.org"])
        known.call_fake([b"%d@x" % number], "", ANNA, 0.9)
    for table in ("correspondents", "fakes"):
        assert 10 <= count(tmp_path, table) <= 10 + memory._TRIM_EVERY
    assert known.knows("300@example.org")
    assert not known.knows("0@example.org")


def count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / memory.NAME) as connection:
        # The name is one of ours, two lines above, and SQL has no placeholder for it.
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    connection.close()
    return int(number)


def test_it_holds_no_address_and_is_for_its_user_only(known: Memory, tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        known.learn([ANNA])
        known.call_fake([b"1@x.example"], TOPIC, ANNA, 0.99)
    finally:
        os.umask(umask)
    folder = tmp_path / "state"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = {path.name: path for path in folder.iterdir()}
    assert {memory.NAME, f"{memory.NAME}-wal", memory.KEY} <= set(files)
    for path in files.values():
        assert path.stat().st_mode & 0o777 == 0o600, path
        for word in (b"anna", b"example", b"partner"):
            assert word not in path.read_bytes().lower(), path


def test_another_key_knows_nobody(known: Memory, tmp_path: Path, clock: Clock) -> None:
    known.learn([ANNA])
    known.close()
    (tmp_path / "state" / memory.KEY).write_bytes(b"k" * 32)
    assert not Memory(tmp_path / "state", clock=clock).knows(ANNA)


def test_it_is_opened_with_its_first_use(tmp_path: Path) -> None:
    known = Memory(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    known.close()
    assert not known.knows(ANNA)
    assert (tmp_path / "state" / memory.NAME).exists()


def test_a_removed_folder_is_made_anew(known: Memory, tmp_path: Path) -> None:
    known.learn([ANNA])
    for path in (tmp_path / "state").iterdir():
        path.unlink()
    (tmp_path / "state").rmdir()
    assert not known.knows(ANNA)
    known.learn([ANNA])
    assert known.knows(ANNA)


_WRITER = """
import sys
from pathlib import Path
from milter.trust.memory import Memory
known = Memory(Path(sys.argv[1]))
for number in range(150):
    known.learn([f"{sys.argv[2]}-{number}@example.org"])
    known.call_fake([b"%d@x" % number], "", sys.argv[2], 0.9)
"""


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    """And both begin with no folder, no key and no database."""
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "state")]
    writers = [
        subprocess.Popen([*command, name], stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    complaints = [writer.communicate(timeout=120)[1] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert complaints == ["", ""]
    assert count(tmp_path / "state", "correspondents") == 300
    known = Memory(tmp_path / "state")
    assert all(known.knows(f"{name}-{n}@example.org") for name in "ab" for n in range(150))


def test_threads_share_it(known: Memory) -> None:
    def write(name: str) -> None:
        for number in range(50):
            known.learn([f"{name}-{number}@example.org"])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(known.knows(f"{name}-{n}@example.org") for name in "abcd" for n in range(50))


def garbage(path: Path) -> None:
    path.write_bytes(b"no database, but long enough to look like one " * 200)


def torn(path: Path) -> None:
    """Its first page is right, the others are not."""
    octets = path.read_bytes()
    path.write_bytes(octets[:4096] + os.urandom(len(octets) - 4096))


@pytest.mark.parametrize("damage", [garbage, torn])
def test_a_damaged_file_is_put_aside(
    known: Memory, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, damage
) -> None:
    known.learn([f"{number}@example.org" for number in range(100)])
    known.close()
    damage(tmp_path / "state" / memory.NAME)
    again = Memory(tmp_path / "state", clock=clock)
    again.learn([ANNA])
    assert again.knows(ANNA)
    assert (tmp_path / "state" / memory.DAMAGED).exists()
    assert "was damaged" in caplog.text
    assert caplog.text.count("ERROR") == 1
    again.close()
    assert Memory(tmp_path / "state", clock=clock).knows(ANNA)


def test_who_has_the_damaged_file_open_goes_over_to_the_new_one(
    known: Memory, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    known.learn([ANNA])
    other = Memory(tmp_path / "state", clock=clock)
    assert other.knows(ANNA)
    with sqlite3.connect(tmp_path / "state" / memory.NAME) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    garbage(tmp_path / "state" / memory.NAME)  # under the feet of both
    third = Memory(tmp_path / "state", clock=clock)
    third.learn([BERT])
    other.learn([ANNA])
    assert known.knows(BERT)
    assert other.knows(BERT)
    assert third.knows(ANNA)
    assert caplog.text.count("was damaged") == 1


def test_a_damaged_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / memory.KEY).write_bytes(b"short")
    known = Memory(tmp_path)
    known.learn([ANNA])
    assert not known.knows(ANNA)
    assert "not a key of 32 octets" in caplog.text


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    known = Memory(tmp_path / "file" / "state")
    for _ in range(20):
        known.learn([ANNA])
        assert not known.knows(ANNA)
        assert not known.called_fake([b"1@x"], TOPIC, ANNA)
    assert caplog.text.count("mail goes on without it") == 1
    assert "Not a directory" in caplog.text
    assert "anna" not in caplog.text


def test_a_writer_that_does_not_end_stops_no_mail(
    known: Memory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known.learn([BERT])
    writer = sqlite3.connect(tmp_path / "state" / memory.NAME, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    known.learn([ANNA])
    assert "locked" in caplog.text
    assert known.knows(BERT), "readers wait for nobody"
    assert not known.knows(ANNA)
    writer.execute("ROLLBACK")
    writer.close()
    known.learn([ANNA])
    assert known.knows(ANNA)


_ON_A_FULL_DISK = """
import logging, resource, signal, sys
from pathlib import Path
from milter.trust.memory import Memory
logging.basicConfig(format="%(levelname)s %(message)s")
known = Memory(Path(sys.argv[1]))
known.learn(["anna@example.org"])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
known.learn(["bert@example.net"])
known.learn(["clara@example.com"])
print(known.knows("anna@example.org"), known.knows("bert@example.net"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
known.learn(["bert@example.net"])
print(known.knows("anna@example.org"), known.knows("bert@example.net"))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    """The kernel refuses to let any file grow, which is what a full disk looks like."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", _ON_A_FULL_DISK, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False", "True", "True"]
    assert done.stderr.count("mail goes on without it") == 1
    assert "Traceback" not in done.stderr

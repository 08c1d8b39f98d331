"""A mail is held whole and for all, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from quarantine.mails import ANNA, BERT, FAKE, address, envelope, files, held, hold, ids, mail

from milter.errors import StartError
from milter.quarantine import index, names
from milter.quarantine.store import Item, Quarantine, Query, State
from milter.spam.verdict import Reason, unscored

CARLA = "carla@example.net"


@pytest.mark.parametrize("gone", ["tmp", "new", "held"])
def test_a_folder_that_somebody_removed_is_made_again(
    quarantine: Quarantine, folder: Path, gone: str
) -> None:
    quarantine.delete(held(quarantine, ANNA), "a test")
    (path,) = folder.glob(f"*/{gone}")
    shutil.rmtree(path)
    assert quarantine.item(held(quarantine, ANNA)).open


def test_a_held_mail_is_all_there(quarantine: Quarantine, folder: Path) -> None:
    content = mail("Grüße", "=?utf-8?q?J=C3=BCrgen?= <j@example.org>")
    item = held(quarantine, ANNA, content=content)
    assert quarantine.content(item).endswith(content)
    assert quarantine.content(item).startswith(b"X-Coop-Verdict: fake; score=0.97;")
    shown = quarantine.item(item)
    assert shown == Item(
        id=item,
        recipient=ANNA,
        sender="pitch@example.org",
        time=shown.time,
        state=State.HELD,
        verdict="fake",
        score=0.97,
        reason="",
        asks=("link",),
        offers=("free-content",),
        clues=(("kostenlos", 1.25),),
        model=FAKE.model,
        subject="Grüße",
        author="Jürgen <j@example.org>",
        octets=len(quarantine.content(item)),
        client="unknown",
        mail_id=shown.mail_id,
        changed=shown.time,
    )
    assert quarantine.find(Query()).items == [shown]


def test_before_the_commit_nothing_is_seen(quarantine: Quarantine, folder: Path) -> None:
    batch = hold(quarantine, ANNA, BERT)
    quarantine.reconcile()
    assert ids(quarantine, Query(states=())) == []
    batch.commit()
    assert sorted(ids(quarantine)) == sorted(batch.ids)


def test_what_is_abandoned_leaves_nothing(quarantine: Quarantine, folder: Path) -> None:
    hold(quarantine, ANNA, BERT).abandon()
    assert files(folder) == []


def test_one_mail_for_many_is_written_once(quarantine: Quarantine, folder: Path) -> None:
    batch = hold(quarantine, ANNA, BERT, CARLA)
    batch.commit()
    assert [quarantine.item(item).recipient for item in batch.ids] == [ANNA, BERT, CARLA]
    inodes = {path.stat().st_ino for path in folder.glob("*/new/*")}
    assert len(list(folder.glob("*/new/*"))) == 3
    assert len(inodes) == 1
    quarantine.delete(batch.ids[0], "anna")
    assert quarantine.content(batch.ids[1]) == quarantine.content(batch.ids[2])


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_where_links_are_refused_it_is_copied(
    number: int, quarantine: Quarantine, folder: Path
) -> None:
    with mock.patch("os.link", side_effect=OSError(number, os.strerror(number))):
        batch = hold(quarantine, ANNA, BERT)
    batch.commit()
    assert len({path.stat().st_ino for path in folder.glob("*/new/*")}) == 2
    assert quarantine.content(batch.ids[0]) == quarantine.content(batch.ids[1])


def test_a_mail_with_nothing_in_it_is_held(quarantine: Quarantine) -> None:
    judgement = unscored(Reason.UNREADABLE, "m")
    batch = quarantine.hold([], envelope(""), [address(ANNA)], judgement)
    batch.commit()
    shown = quarantine.item(batch.ids[0])
    assert (shown.subject, shown.author, shown.sender, shown.score) == ("", "", "", None)
    assert quarantine.content(batch.ids[0]) == b""


@pytest.mark.parametrize(
    "subject",
    [
        "=?utf-8?q?=00=01=1B[31m?=",
        "=?utf-16?b?2AA=?=",
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
        "x" * 5000,
        "a\r\n b\r\n\tc",
        "\u202egpj.exe",
    ],
)
def test_odd_subjects_are_listed(subject: str, quarantine: Quarantine) -> None:
    item = held(quarantine, content=mail(subject))
    (shown,) = quarantine.find(Query()).items
    assert shown.id == item
    assert len(shown.subject) <= 500
    assert "\n" not in shown.subject
    shown.subject.encode("utf-8")


# What can fail between a mail's first octet and its being in place, wherever it is called from.
_CALLS = (
    *("os.fsync", "os.fchmod", "os.fchown", "os.link", "os.open", "os.chown"),
    *("pathlib.Path.open", "pathlib.Path.rename", "pathlib.Path.mkdir", "pathlib.Path.chmod"),
)


class Disk:
    """A disk that is full from the call number ``fails`` on, among ``_CALLS``; 0: never."""

    def __init__(self, fails: int) -> None:
        self.calls = 0
        self._fails = fails

    def __call__(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            self.calls += 1
            if self._fails and self.calls >= self._fails:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **named)

        return call


def on(disk: Disk, job: Callable[[], object]) -> None:
    """Do ``job`` on ``disk``."""
    with (
        mock.patch.multiple(
            "os", **{name[3:]: disk(getattr(os, name[3:])) for name in _CALLS if name[:3] == "os."}
        ),
        mock.patch.multiple(
            "pathlib.Path",
            **{name[13:]: disk(getattr(Path, name[13:])) for name in _CALLS if name[:3] == "pat"},
        ),
    ):
        job()


def places(job: Callable[[], object]) -> Iterator[int]:
    """The number of each call that ``job`` makes."""
    disk = Disk(0)
    on(disk, job)
    assert disk.calls > 15
    return iter(range(1, disk.calls + 1))


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """Wherever it becomes full: the caller knows, and no part of the mail stays."""

    def job(name: str) -> None:
        quarantine = Quarantine(tmp_path / name)
        hold(quarantine, ANNA, BERT).commit()

    for name in ("clean", "full"):
        Quarantine(tmp_path / name).prepare()
        assert ids(Quarantine(tmp_path / name)) == []  # it has an index
    failed = 0
    for place in places(lambda: job("clean")):
        fault = None
        try:
            on(Disk(place), lambda: job("full"))
        except OSError as error:
            fault = error
        after = ids(Quarantine(tmp_path / "full"), Query(states=()))
        if fault:
            assert fault.errno == errno.ENOSPC
            assert files(tmp_path / "full") == after == []
            failed += 1
        else:  # the mail is in place: what failed was the index
            assert len(after) == 2
            batch = [path for path in (tmp_path / "full").rglob("*I*") if path.is_file()]
            for path in [*batch, *(tmp_path / "full").glob("*/held/*")]:
                path.unlink()
            Quarantine(tmp_path / "full").reconcile()
    assert failed > 10


def test_a_sender_that_breaks_off_leaves_nothing_behind(
    quarantine: Quarantine, folder: Path
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        quarantine.hold(pieces(), envelope(), [address(ANNA)], FAKE)
    assert files(folder) == []


def test_a_commit_that_fails_for_one_is_for_nobody(quarantine: Quarantine, folder: Path) -> None:
    batch = hold(quarantine, ANNA, BERT)
    (folder / BERT / "new").rmdir()
    with pytest.raises(OSError, match="No such file"):
        batch.commit()
    assert files(folder) == []


def test_a_removed_folder_is_made_again(quarantine: Quarantine, folder: Path) -> None:
    first = held(quarantine)
    for path in sorted((folder / ANNA).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / ANNA).rmdir()
    assert quarantine.item(held(quarantine)).open
    assert first not in ids(quarantine)


def test_nobody_else_may_read_whatever_the_umask(folder: Path) -> None:
    umask = os.umask(0)
    try:
        quarantine = Quarantine(folder)
        quarantine.prepare()
        held(quarantine, ANNA, BERT)
        ids(quarantine)
    finally:
        os.umask(umask)
    assert (folder / names.INDEX).exists()
    for path in [folder, *folder.rglob("*")]:
        assert path.stat().st_mode & 0o7777 == (0o700 if path.is_dir() else 0o600), path


# A user may be in no second group, and then cannot give a file to one.
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a group to give files to for certain")
def test_a_group_may_read_the_mails_and_nothing_else(folder: Path) -> None:
    umask = os.umask(0o077)
    try:
        quarantine = Quarantine(folder, "mail")
        quarantine.prepare()
        held(quarantine, ANNA, BERT)
        ids(quarantine)
    finally:
        os.umask(umask)
    mode = {path: path.stat().st_mode & 0o7777 for path in [folder, *folder.rglob("*")]}
    shared = {path for path, bits in mode.items() if bits & 0o77}
    assert {path.group() for path in shared} == {"mail"}
    assert mode[folder] == 0o710  # it may pass, and make no folder of its own
    assert all(mode[path] == (0o2770 if path.is_dir() else 0o660) for path in shared - {folder})
    own = {path.name for path in mode.keys() - shared}
    records = {path.name for path in folder.glob("*/held/*")}
    assert {name for name in own if not name.startswith(names.INDEX)} - records == {"held"}


def test_an_unknown_group_is_told_in_words(folder: Path) -> None:
    with pytest.raises(StartError, match="there is no group 'no-such-group'"):
        Quarantine(folder, "no-such-group").prepare()


def test_a_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"file/quarantine cannot be used: Not a directory"):
        Quarantine(tmp_path / "file" / "quarantine").prepare()


def test_an_index_that_fails_stops_no_mail(
    quarantine: Quarantine, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held(quarantine)
    assert len(ids(quarantine)) == 1
    with mock.patch.object(index, "_write", side_effect=OSError(errno.ENOSPC, "full")):
        items = [held(quarantine) for _ in range(3)]
    assert caplog.text.count("cannot be used: full; mails are held without it") == 1
    assert set(items) < set(ids(Quarantine(folder)))  # another process, which sees the mark

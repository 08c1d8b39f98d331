"""Where feedback may lie, and what else may lie there."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.feedback import collected, fates, learned, letter, maildir, mbox, put

from training.feedback import files, folders
from training.feedback import mbox as mbox_files
from training.feedback.folders import FeedbackError
from training.feedback.names import Names, from_utf7
from training.feedback.settings import FeedbackSettings

ONE = [("1@site.example", "fake")]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("fake", "fake"),
        ("FAKE", "fake"),
        ("Fake-Kooperation", "fake"),
        ("fake kooperation", "fake"),
        (".Fake-Kooperation", "fake"),
        ("INBOX.fake", "fake"),
        (".INBOX.Echte_Kooperation", "genuine"),
        (".Kooperation.none", "none"),
        (".fake.2026", "fake"),
        ("fake.mbox", "fake"),
        ("fake.sbd", "fake"),
        ("Fake-Kooperation-alt", ""),
        ("unfake", ""),
        (".Junk", ""),
        ("&&&-", ""),
        ("", ""),
    ],
)
def test_names_of_folders(name: str, label: str) -> None:
    assert Names(FeedbackSettings()).label(name) == label


def test_a_name_with_umlauts_in_every_writing() -> None:
    names = Names(FeedbackSettings(fake=("Ködermails",)))
    for written in (".K&APY-dermails", "Ködermails", "KÖDERMAILS", "Ko\u0308dermails"):
        assert names.label(written) == "fake"
    assert from_utf7("a&-b") == "a&b"
    assert from_utf7("&A-") == "&A-"


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("fake/1.eml", ""),
        ("fake/de/guest-post/1.eml", ""),
        ("INBOX/fake/1.eml", ""),
        ("anna/fake/1.eml", "anna"),
        ("anna/Maildir/fake/1", "anna"),
        ("example.org/anna/mail/INBOX.fake/1.eml", "example.org/anna"),
    ],
)
def test_plain_folders_and_their_owners(tmp_path: Path, path: str, owner: str) -> None:
    put(tmp_path / path, letter(1))
    found = collected(tmp_path)
    assert learned(found) == ONE
    assert [mail.owner for mail in found.mails] == [owner]


@pytest.mark.parametrize(
    ("store", "owner"),
    [
        (".", ""),
        ("anna", "anna"),
        ("anna/Maildir", "anna"),
        ("example.org/anna", "example.org/anna"),
    ],
)
def test_maildirs_as_dovecot_lays_them_out(tmp_path: Path, store: str, owner: str) -> None:
    inbox = tmp_path / store
    maildir(inbox, letter(7))
    maildir(inbox / ".Junk", letter(8))
    maildir(inbox / ".INBOX.Fake-Kooperation", letter(1))
    for name in ("dovecot-uidlist", "dovecot.index.log", "maildirfolder", "fake.txt"):
        put(inbox / ".INBOX.Fake-Kooperation" / name, b"3 V1 N2\n")
    put(inbox / ".INBOX.Fake-Kooperation" / "tmp" / "1.half", letter(9))
    put(inbox / "subscriptions", b"INBOX.fake\n")
    found = collected(tmp_path)
    assert learned(found) == ONE
    assert fates(found) == ["learned"]
    assert [mail.owner for mail in found.mails] == [owner]


def test_a_mail_in_new_counts(tmp_path: Path) -> None:
    maildir(tmp_path / ".fake")
    put(tmp_path / ".fake" / "new" / "1700000000.M1P1.host", letter(1))
    assert learned(collected(tmp_path)) == ONE


def test_several_folders_are_several_owners(tmp_path: Path) -> None:
    for user in ("anna", "bert"):
        maildir(tmp_path / user / "Maildir" / ".fake", letter(1))
    found = collected(tmp_path / "anna" / "Maildir", tmp_path / "bert" / "Maildir")
    assert {mail.owner for mail in found.mails} == {"anna"}
    assert fates(found) == ["known/duplicate", "learned"]


def test_one_folder_inside_another_is_read_once(tmp_path: Path) -> None:
    put(tmp_path / "anna" / "fake" / "1.eml", letter(1))
    found = collected(tmp_path, tmp_path / "anna", tmp_path)
    assert fates(found) == ["learned"]


@pytest.mark.parametrize("name", ["fake", "fake.mbox", "anna/Fake-Kooperation", "fake/2026"])
def test_mbox_files(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, mbox(letter(1), letter(2)))
    found = collected(tmp_path)
    assert learned(found) == [("1@site.example", "fake"), ("2@site.example", "fake")]
    assert sorted(mail.source for mail in found.mails) == [
        f"{tmp_path / name}#1",
        f"{tmp_path / name}#2",
    ]


def test_what_an_mbox_marks_as_deleted_is_withdrawn(tmp_path: Path) -> None:
    note = letter(9, Subject="DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA", X_IMAP="1 2")
    put(
        tmp_path / "fake",
        mbox(
            note,
            letter(1, X_Mozilla_Status="0001"),
            letter(2, X_Mozilla_Status="0009"),
            letter(3, X_Status="D"),
        ),
    )
    found = collected(tmp_path)
    assert learned(found) == ONE
    assert fates(found) == ["learned", "withdrawn/trashed", "withdrawn/trashed"]


def test_a_mail_is_the_same_in_an_mbox_and_in_a_file(tmp_path: Path) -> None:
    octets = letter(1, body=f"From here on all is free.\n{letter(1).decode()}\nFrom there, too.")
    put(tmp_path / "fake" / "1.eml", octets)
    put(tmp_path / "fake" / "box", mbox(octets))
    assert fates(collected(tmp_path)) == ["known/duplicate", "learned"]


def test_a_locked_mbox_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "fake", mbox(letter(1)))
    monkeypatch.setattr(mbox_files, "_PATIENCE", 0.2)
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX);"
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert fates(collected(tmp_path)) == ["unreadable/busy"]
        holder.communicate()
    assert learned(collected(tmp_path)) == ONE


def test_where_there_are_no_locks_an_mbox_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    put(tmp_path / "fake", mbox(letter(1)))
    monkeypatch.setattr(fcntl, "lockf", no_locks)
    assert learned(collected(tmp_path)) == ONE


def test_trashed_mails_are_withdrawn_and_known_by_their_id(tmp_path: Path) -> None:
    maildir(tmp_path / ".fake", letter(1))
    maildir(tmp_path / ".fake", letter(2), flags="ST")
    found = collected(tmp_path)
    assert learned(found) == ONE
    (trashed,) = [fate for fate in found.fates if fate.outcome == "withdrawn"]
    assert (trashed.message_id, trashed.reason) == ("2@site.example", "trashed")


def test_pipes_links_and_sockets_are_never_opened(tmp_path: Path) -> None:
    folder = tmp_path / "fake"
    secret = put(tmp_path / "elsewhere" / "secret.eml", letter(5))
    put(folder / "1.eml", letter(1))
    os.mkfifo(folder / "2.eml")
    (folder / "3.eml").symlink_to(secret)
    (folder / "loop").symlink_to(folder)
    (folder / "dead.eml").symlink_to("nowhere")
    (tmp_path / "genuine").symlink_to(secret.parent)
    os.mkfifo(tmp_path / "none")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "4.eml"))
        started = time.monotonic()
        found = collected(tmp_path)
    assert time.monotonic() - started < 2
    assert learned(found) == ONE
    assert fates(found) == ["learned"] + ["unreadable/not-a-file"] * 7


def test_pipes_and_links_in_a_maildir(tmp_path: Path) -> None:
    maildir(tmp_path / ".fake", letter(1))
    cur = tmp_path / ".fake" / "cur"
    os.mkfifo(cur / "2.pipe:2,")
    (cur / "3.link:2,").symlink_to("/etc/hostname")
    (cur / "4.folder:2,").mkdir()
    assert fates(collected(tmp_path)) == ["learned"] + ["unreadable/not-a-file"] * 3


def test_a_file_that_becomes_a_pipe_before_it_is_opened(tmp_path: Path) -> None:
    """The check of the listing is not all: opening does not follow, wait or read either."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(files.NotRead, match="not-a-file"), files.opened(tmp_path / name):
            pass


def test_files_that_vanish_while_the_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = {put(tmp_path / "fake" / "2.eml", letter(2)), maildir(tmp_path / ".none", letter(3))}
    put(tmp_path / "fake" / "1.eml", letter(1))
    opened = folders.opened

    def late(path: Path) -> object:
        if path in gone:
            path.unlink()
        return opened(path)

    monkeypatch.setattr(folders, "opened", late)
    found = collected(tmp_path)
    assert learned(found) == ONE
    assert fates(found) == ["learned", "withdrawn/vanished", "withdrawn/vanished"]


def test_a_folder_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1))
    put(tmp_path / "none" / "2.eml", letter(2))
    listed = folders._listed

    def late(folder: Path) -> object:
        if folder.name == "none":
            (folder / "2.eml").unlink()
            folder.rmdir()
        return listed(folder)

    monkeypatch.setattr(folders, "_listed", late)
    assert fates(collected(tmp_path)) == ["learned", "withdrawn/vanished"]


def test_a_mail_whose_flags_change_meanwhile_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = maildir(tmp_path / ".fake", letter(1), flags="")
    opened = folders.opened

    def late(wanted: Path) -> object:
        if wanted == path and path.exists():
            path.rename(path.with_name(f"{path.name}S"))
        return opened(wanted)

    monkeypatch.setattr(folders, "opened", late)
    assert learned(collected(tmp_path)) == ONE


def test_what_the_system_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "fake" / "1.eml", letter(1))
    real = os.open

    def refused(path: object, *rest: int) -> int:
        if str(path).endswith("1.eml"):
            raise PermissionError(13, "Permission denied")
        # Handed on as it came: this stands for a function with overloads.
        return real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refused)
    assert fates(collected(tmp_path)) == ["unreadable/no-access"]


def test_large_files_are_not_read(tmp_path: Path) -> None:
    with put(tmp_path / "fake" / "1.eml", letter(1)).open("ab") as file:
        file.truncate(20 << 20)
    put(tmp_path / "fake" / "box", mbox(letter(2), letter(3, body="x" * 5000), letter(4)))
    found = collected(tmp_path, max_octets=4000)
    assert [message_id for message_id, _ in learned(found)] == ["2@site.example", "4@site.example"]
    assert fates(found) == ["learned"] * 2 + ["unreadable/too-large"] * 2


def test_what_is_no_mail(tmp_path: Path) -> None:
    put(tmp_path / "fake" / "1.eml", b"")
    put(tmp_path / "fake" / "2.eml", bytes(range(256)) * 40)
    put(tmp_path / "fake" / "3.eml", b"just some words with no header at all\n")
    put(tmp_path / "fake" / "4.eml", letter(4, body="ok", Subject="Hi"))
    put(tmp_path / "fake" / ".DS_Store", b"\0\0\0\1Bud1")
    put(tmp_path / "fake" / "Fake.msf", b"// <!-- <mdb:mork:z -->\n")
    found = collected(tmp_path)
    assert fates(found) == ["refused/too-little-text"] + ["unreadable/not-a-mail"] * 3


def test_names_of_any_octets_can_be_shown(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "fake")
    put(tmp_path / "fake" / "x", letter(1))
    Path(os.fsdecode(folder + b"/x")).rename(os.fsdecode(folder + b"/\xff\n\x1b[31m.eml"))
    (fate,) = collected(tmp_path).fates
    assert fate.source.endswith("/\\xff\\n\\x1b[31m.eml")
    fate.source.encode()


@pytest.fixture
def depths(tmp_path: Path) -> Iterator[Path]:
    """A label folder with more folders inside one another than Python can go down in calls."""
    top = tmp_path / "fake"
    top.mkdir()
    folders = [Path(f"{top}{'/d' * depth}") for depth in range(1, 1200)]
    for folder in folders:
        folder.mkdir()
    yield top
    for folder in reversed(folders):  # pytest cannot remove them
        folder.rmdir()


def test_folders_nested_deeper_than_functions_may(depths: Path) -> None:
    put(depths / "1.eml", letter(1))
    assert learned(collected(depths.parent)) == ONE


def test_a_missing_folder_must_not_look_empty(tmp_path: Path) -> None:
    with pytest.raises(FeedbackError, match="there is no feedback folder"):
        collected(tmp_path / "no")


def test_a_folder_without_labels_is_told(tmp_path: Path) -> None:
    maildir(tmp_path, letter(1))
    (note,) = collected(tmp_path).notes
    assert "no folder in it is named for a label (fake, " in note


def test_when_a_mail_came_into_its_folder(tmp_path: Path) -> None:
    """The name of a Maildir file tells; else the file's time."""
    put(tmp_path / "fake" / "1.eml", letter(1), moved=1_600_000_000)
    maildir(tmp_path / ".fake", letter(2), moved=1_700_000_123)
    moved = {mail.message_id: mail.moved for mail in collected(tmp_path).mails}
    assert moved == {"1@site.example": 1_600_000_000, "2@site.example": 1_700_000_123}

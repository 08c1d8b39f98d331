"""Nothing that comes from outside becomes a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quarantine.mails import ANNA, files, held

from milter.errors import NotHeld
from milter.quarantine import names
from milter.quarantine.store import Quarantine

ODD = [
    "",
    ".",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b@example.net",
    "a\0b@example.net",
    "%2e%2e@example.net",
    "index.sqlite",
    "index.sqlite-wal",
    ".hidden@example.net",
    "jürgen@müller.example",
    "\udcff@example.net",
    "new\nline@example.net",
    '"quoted string"@example.net',
    "x" * 300 + "@example.net",
    "x" * 301 + "@example.net",
]


def test_an_ordinary_address_is_its_own_folder() -> None:
    assert names.folder_name("anna+shop@mail.example.net") == "anna+shop@mail.example.net"


@pytest.mark.parametrize("mailbox", ODD)
def test_an_odd_recipient_gets_a_folder_within(mailbox: str, tmp_path: Path) -> None:
    name = names.folder_name(mailbox)
    (tmp_path / name).mkdir()
    assert list(tmp_path.iterdir()) == [tmp_path / name]
    assert not name.startswith((".", names.INDEX))


def test_odd_recipients_do_not_share() -> None:
    assert len({names.folder_name(mailbox) for mailbox in ODD}) == len(ODD)


@given(st.text(max_size=300), st.text(max_size=300))
def test_any_two_recipients_have_two_folders(one: str, other: str) -> None:
    for mailbox in (one, other):
        name = names.folder_name(mailbox)
        assert 0 < len(name.encode()) <= 255
        assert "/" not in name
        assert "\0" not in name
        assert not name.startswith(".")
    same = one.encode("utf-8", "backslashreplace") == other.encode("utf-8", "backslashreplace")
    assert same == (names.folder_name(one) == names.folder_name(other))


@pytest.mark.parametrize("mailbox", ["../up@example.net", "a/b@example.net", "jürgen@example.net"])
def test_mail_for_an_odd_recipient_is_held_within(
    mailbox: str, quarantine: Quarantine, folder: Path
) -> None:
    item = held(quarantine, mailbox)
    assert quarantine.item(item).recipient == mailbox
    assert len(files(folder)) == 2
    assert len(list(folder.iterdir())) == 1
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    "item",
    [
        *("", ".", "..", "../x", "../../etc/passwd", f"{ANNA}/held/x", "*" * 16, "٠" * 16),
        *("0" * 15, "0" * 16, "0" * 17, "0123456789ABCDEF", "0123456789abcde\n"),
    ],
)
def test_what_is_no_id_is_not_held(item: str, quarantine: Quarantine) -> None:
    held(quarantine)
    for ask in (quarantine.item, quarantine.content, quarantine.history):
        with pytest.raises(NotHeld):
            ask(item)
    with pytest.raises(NotHeld):
        quarantine.delete(item, "anna")


@pytest.mark.parametrize("flags", [":2,", ":2,S", ":2,RS", ":2,FRSTabc"])
def test_a_mail_is_found_by_its_id_whatever_its_flags(
    flags: str, quarantine: Quarantine, folder: Path
) -> None:
    item = held(quarantine)
    (mail,) = (folder / ANNA / "new").iterdir()
    content = mail.read_bytes()
    mail.rename(folder / ANNA / "cur" / (mail.name + flags))
    assert names.item_of(mail.name + flags) == item
    assert quarantine.content(item) == content


@pytest.mark.parametrize("name", ["", "dovecot.index", "1.M1P1Q1.host", "1.M1P1Q1I12.host", "x"])
def test_files_of_others_are_not_taken_for_ours(name: str) -> None:
    assert names.item_of(name) == ""

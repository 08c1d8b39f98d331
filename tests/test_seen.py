"""The index of what was seen: what a changed copy is found by, and what a crash leaves."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from milter import seen
from milter.errors import JournalError
from milter.mail import header, identity
from milter.seen import Digests, Index
from milter.smtp.reply import OK, Reply
from milter.spam.terms import ASKS, OFFERS
from milter.spam.verdict import Judgement, Reason, Score, Verdict, unscored

SIZE = 1 << 20
MAIL = (
    b"Message-ID: <one@Example.org>\r\nSubject: A secret subject\r\nFrom: p@example.org\r\n\r\n"
    b"Dear webmaster,  I would like to place\r\n"
    b"one link on your lovely page.\r\n\r\nFrom your admirer\r\n"
)
HEAD, BODY = MAIL.split(b"\r\n\r\n", 1)
FAKE = Judgement(Verdict.FAKE, "m-1", Score(0.987654, 0.01, 0.002346), asks=("link",))
NONE = Judgement(Verdict.NONE, "m-2", Score(0.01, 0.0, 0.99))


def note(index: Index, content: bytes = MAIL, judgement: Judgement = FAKE, id: str = "i") -> None:
    index.record(id, index.digests(content), judgement, OK)


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path, SIZE)


def found(folder: Path, content: bytes) -> str:
    passage = seen.find(folder, content)
    return passage.verdict if passage else ""


def test_a_line_says_all_of_it(index: Index, tmp_path: Path) -> None:
    note(index)
    passage = seen.find(tmp_path, MAIL)
    assert passage
    assert (passage.verdict, passage.score, passage.model) == ("fake", 0.9877, "m-1")
    assert (passage.id, passage.asks, passage.reply) == ("i", ["link"], 250)
    index.record("j", index.digests(MAIL), unscored(Reason.TIMEOUT, "m-1"), None)
    passage = seen.find(tmp_path, MAIL)
    assert passage
    assert (passage.verdict, passage.score, passage.reason) == ("unscored", None, "timeout")
    assert passage.reply == 0


def test_it_holds_nothing_of_the_mail_and_is_for_its_user_only(
    index: Index, tmp_path: Path
) -> None:
    note(index)
    line = (tmp_path / seen.NAME).read_bytes()
    for word in (b"secret", b"example", b"one", b"webmaster", b"admirer"):
        assert word not in line.lower()
    for name in (seen.NAME, seen.KEY):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {seen.NAME, seen.KEY}


def test_a_folder_of_its_own_is_closed_to_others(tmp_path: Path) -> None:
    Index(tmp_path / "var" / "state", SIZE)
    assert (tmp_path / "var" / "state").stat().st_mode & 0o777 == 0o700


CHANGED = {
    "ours on top": header.with_fields(MAIL, [b"X-Coop-Verdict: fake; score=0.99\r\n"]),
    "list footer": MAIL + b"_____\r\nunsubscribe: https://list.example\r\n",
    "tag in the subject": MAIL.replace(b"Subject: ", b"Subject: [list] "),
    "another body": HEAD + b"\r\n\r\nbase64 of it, say",
    "folded message-id": MAIL.replace(b"Message-ID: ", b"message-id:\r\n\t"),
    "another message-id": MAIL.replace(b"<one@", b"<two@"),
    "no message-id": MAIL.replace(b"Message-ID: <one@Example.org>\r\n", b""),
    "no header": b"\r\n" + BODY,
    "all header rewritten": b"Received: by x\r\nMessage-ID: <x>\r\nSubject: y\r\n\r\n" + BODY,
    "blanks": b"X: y\r\n\r\n" + BODY.replace(b"  ", b" \t ").replace(b"\r\n", b" \r\n"),
    "trailing blank lines": b"X: y\r\n\r\n" + BODY + b"\r\n \r\n\r\n",
    "no last line end": b"X: y\r\n\r\n" + BODY.rstrip(),
    "wrapped anew": b"X: y\r\n\r\n" + BODY.replace(b" place\r\n", b"\r\nplace "),
    "quoted for mbox": b"From x\r\nX: y\r\n\r\n" + BODY.replace(b"From your", b">>From your"),
}
LOST = {
    "footer and message-id": b"X: y\r\n\r\n" + BODY + b"_____\r\nunsubscribe\r\n",
    "body and message-id": b"X: y\r\n\r\nAnother text altogether, of some length, on nothing.\r\n",
    "message-id in other case": b"Message-ID: <ONE@example.org>\r\n\r\n",
    "empty": b"",
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_changed_copy_is_found(change: str, index: Index, tmp_path: Path) -> None:
    note(index, b"Message-ID: <z@z>\r\n\r\nquite another mail, with another text of some length")
    note(index)
    assert found(tmp_path, CHANGED[change]) == "fake"


@pytest.mark.parametrize("change", LOST)
def test_what_is_not_found(change: str, index: Index, tmp_path: Path) -> None:
    note(index)
    note(index, b"Subject: neither id nor text\r\n\r\n")
    assert found(tmp_path, LOST[change]) == ""


def test_a_few_words_are_no_mark_of_a_mail(index: Index, tmp_path: Path) -> None:
    note(index, b"X: y\r\n\r\nThanks!\r\n")
    assert found(tmp_path, b"X: y\r\n\r\nThanks!\r\n") == ""
    note(index, b"Message-ID: <a>\r\n\r\nThanks!\r\n")
    assert found(tmp_path, b"Message-ID: <a>\r\n\r\nThanks!\r\n") == "fake"


def test_the_message_id_comes_first_and_the_newest_counts(index: Index, tmp_path: Path) -> None:
    note(index, MAIL, FAKE)
    note(index, MAIL.replace(b"<one@", b"<two@"), NONE)
    assert found(tmp_path, MAIL) == "fake"
    assert found(tmp_path, MAIL.replace(b"<one@", b"<three@")) == "none"
    note(index, MAIL, NONE)
    assert found(tmp_path, MAIL) == "none"


def test_of_one_message_id_the_one_with_the_body_counts(index: Index, tmp_path: Path) -> None:
    """Whoever sends under another mail's Message-ID does not hide that mail's verdict."""
    note(index, MAIL, FAKE)
    note(index, HEAD + b"\r\n\r\nAnother text altogether, of some length, about nothing.", NONE)
    assert found(tmp_path, MAIL) == "fake"
    assert found(tmp_path, HEAD + b"\r\n\r\na third text") == "none"


def test_a_body_beyond_what_is_looked_at(index: Index, tmp_path: Path) -> None:
    words = b"".join(b"word%d  and\r\n" % n for n in range(20_000))
    note(index, b"X: y\r\n\r\n" + words)
    assert found(tmp_path, b"A: b\r\n\r\n" + words.replace(b"  ", b" ")) == "fake"


def test_message_ids_as_people_give_them(index: Index, tmp_path: Path) -> None:
    note(index)
    note(index)
    for given in (b"<one@Example.org>", b"one@Example.org", b" <one@Example.org> "):
        assert len(seen.with_message_id(tmp_path, identity.bare_id(given))) == 2
    for given in (b"", b"<>", b"two@Example.org"):
        assert seen.with_message_id(tmp_path, identity.bare_id(given)) == []


def test_another_key_another_digest(tmp_path: Path) -> None:
    indexes = [Index(tmp_path / name, SIZE) for name in "ab"]
    digests = {index.digests(MAIL) for index in indexes}
    assert len(digests) == 2
    assert not {d.body for d in digests} & {d.message_id for d in digests}


def test_nothing_is_made_by_reading(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    assert (seen.find(folder, MAIL), seen.with_message_id(folder, b"x")) == (None, [])
    assert seen.oldest(folder) is None
    assert not folder.exists()


def test_a_line_that_a_crash_cut_off_stays_alone(index: Index, tmp_path: Path) -> None:
    note(index)
    path = tmp_path / seen.NAME
    path.write_bytes(path.read_bytes() + path.read_bytes()[:-40])
    note(Index(tmp_path, SIZE), judgement=NONE)
    assert [s.verdict for s in seen.with_message_id(tmp_path, b"one@Example.org")] == [
        "fake",
        "none",
    ]


@pytest.mark.parametrize("line", [b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 3000, b""])
def test_lines_that_are_none_of_ours(line: bytes, index: Index, tmp_path: Path) -> None:
    digest = index.digests(MAIL).body.encode()
    (tmp_path / seen.NAME).write_bytes(line + digest + b"\n" + line + b"\n")
    note(index)
    assert found(tmp_path, MAIL) == "fake"
    assert seen.oldest(tmp_path)


def test_a_short_write_is_told_and_harms_no_other_line(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, line: write(file, line[:50]))
        note(index, judgement=NONE)
    caplog.set_level(logging.WARNING)
    note(index, judgement=FAKE)
    assert "the disk is full" in caplog.text
    assert "1 mails are missing" in caplog.text
    assert [s.verdict for s in seen.with_message_id(tmp_path, b"one@Example.org")] == ["fake"]


def test_a_disk_that_fails_is_told_once_and_stops_nothing(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        for _ in range(5):
            note(index)
    assert caplog.text.count("No space left on device") == 1
    note(index)
    assert "5 mails are missing" in caplog.text


def test_a_folder_removed_at_run_time_is_made_anew(index: Index, tmp_path: Path) -> None:
    note(index)
    for path in tmp_path.iterdir():
        path.unlink()
    tmp_path.rmdir()
    note(index)
    note(index)
    assert found(tmp_path, MAIL) == "fake"


def test_it_keeps_to_its_size_and_to_the_newest(tmp_path: Path) -> None:
    index = Index(tmp_path, 4000)
    for number in range(100):
        note(index, MAIL.replace(b"<one", b"<%d" % number), id=str(number))
        assert sum(path.stat().st_size for path in tmp_path.glob("seen*")) <= 4000
    passage = seen.find(tmp_path, MAIL)
    assert passage
    assert passage.id == "99"
    assert not seen.with_message_id(tmp_path, b"0@Example.org")
    assert seen.with_message_id(tmp_path, b"96@Example.org")


def test_a_size_below_one_line(tmp_path: Path) -> None:
    index = Index(tmp_path, 1)
    for _ in range(3):
        note(index)
    assert len(seen.with_message_id(tmp_path, b"one@Example.org")) == 2


def test_rotation_never_waits(tmp_path: Path) -> None:
    """A process that holds the lock, stopped perhaps, must not stop the mail of the others."""
    import fcntl

    index = Index(tmp_path, 1000)
    lock = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    for _ in range(10):
        note(index)
    assert len(seen.with_message_id(tmp_path, b"one@Example.org")) == 10
    os.close(lock)
    note(index)
    assert (tmp_path / seen.BEFORE).exists()


_WRITER = """
import sys; from pathlib import Path
from milter.seen import Digests, Index
from milter.spam.verdict import Judgement, Verdict
index = Index(Path(sys.argv[1]), int(sys.argv[2]))
print("ready", flush=True); sys.stdin.readline()
for n in range(int(sys.argv[4])):
    index.record(f"{sys.argv[3]}-{n}", Digests("x" * 32, ""), Judgement(Verdict.NONE, "m"), None)
"""


def lines(folder: Path) -> list[str]:
    files = [folder / seen.BEFORE, folder / seen.NAME]
    text = "".join(path.read_text() for path in files if path.exists())
    return [json.loads(line)["id"] for line in text.splitlines()]


def writers(folder: Path, size: int, each: int) -> list[subprocess.Popen[str]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(folder), str(size), str(n), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    for process in started:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    return started


def go(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()


def test_several_processes_at_once_lose_no_line(tmp_path: Path) -> None:
    """They make the key at once, append at once, and one of them puts the file aside."""
    processes = writers(
        tmp_path, 600_000, 300
    )  # 1200 lines of some 200 octets: two halves hold all
    go(processes)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(lines(tmp_path)) == sorted(f"{w}-{n}" for w in range(4) for n in range(300))
    assert {path.name for path in tmp_path.iterdir()} <= {seen.KEY, seen.NAME, seen.BEFORE}


def test_killed_processes_leave_whole_lines(tmp_path: Path) -> None:
    processes = writers(tmp_path, SIZE * 100, 1_000_000)
    go(processes)
    while len(lines_so_far(tmp_path)) < 200:
        pass
    for process in processes:
        process.kill()
        process.communicate()
    found = lines_so_far(tmp_path)
    whole = [told["id"] for line in found if (told := parsed(line))]
    # The kernel may stop a write of a process that is killed; the next line then stands behind it.
    assert len(found) - len(whole) <= len(processes)
    for writer in range(4):
        own = [int(name[2:]) for name in whole if name.startswith(f"{writer}-")]
        assert own == sorted(set(own))
        assert max(own, default=-1) + 1 - len(own) <= len(processes)


def parsed(line: bytes) -> dict[str, str]:
    """A whole line's fields; nothing for one that was cut off."""
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}


def lines_so_far(folder: Path) -> list[bytes]:
    return (folder / seen.NAME).read_bytes().splitlines()


def test_keys_made_at_once_are_one_key(tmp_path: Path) -> None:
    found: list[Digests] = []

    def make() -> None:
        found.append(Index(tmp_path, SIZE).digests(MAIL))

    threads = [threading.Thread(target=make) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / seen.KEY).write_bytes(b"short")
    with pytest.raises(JournalError, match="not a key of 32 octets"):
        Index(tmp_path, SIZE)
    with pytest.raises(JournalError, match="not a key of 32 octets"):
        seen.find(tmp_path, MAIL)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match=r"cannot be written .*\[journal\] folder"):
        Index(tmp_path / "file" / "state", SIZE)


def test_the_longest_line_is_one_write(index: Index, tmp_path: Path) -> None:
    """Below PIPE_BUF (4096 octets), which systems write in one go to anything."""
    judgement = Judgement(
        Verdict.UNSCORED,
        "m" * 64,
        Score(0.12345678, 0.1, 0.1),
        Reason.TOO_LITTLE_TEXT,
        tuple(ASKS),
        tuple(OFFERS),
    )
    index.record("i" * 10, index.digests(MAIL), judgement, Reply.of(550, "5.7.1", "no"))
    assert (tmp_path / seen.NAME).stat().st_size < 2000

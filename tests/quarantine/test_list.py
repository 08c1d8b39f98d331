"""Lists: filters, order, pages, words; and an index that nobody has to trust."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from quarantine.mails import ANNA, BERT, FAKE, files, held, hold, ids, mail

from milter.errors import NotHeld
from milter.quarantine import names
from milter.quarantine.store import Quarantine, Query, State
from milter.spam.verdict import Judgement, Score, Verdict

UNSURE = Judgement(Verdict.UNSURE, "m", Score(0.6, 0.3, 0.1))
UNSCORED = Judgement(Verdict.UNSCORED, "m")


@pytest.fixture
def three(quarantine: Quarantine) -> list[str]:
    """A fake and an unscored mail for Anna, an unsure one for Bert, in this order."""
    return [
        held(quarantine, ANNA, content=mail("Linktausch", "Zoe <zoe@shop.example>")),
        held(quarantine, BERT, content=mail("Gastbeitrag für Sie"), judgement=UNSURE),
        held(quarantine, ANNA, content=mail("ÄRGER mit Straße 100%_'"), judgement=UNSCORED),
    ]


def test_the_latest_comes_first(quarantine: Quarantine, three: list[str]) -> None:
    assert ids(quarantine) == three[::-1]
    assert ids(quarantine, Query(ascending=True)) == three


def test_sorted_by_what_is_asked_for(quarantine: Quarantine, three: list[str]) -> None:
    fake, unsure, unscored = three
    assert ids(quarantine, Query(sort="score")) == [fake, unsure, unscored]
    assert ids(quarantine, Query(sort="subject", ascending=True)) == [unsure, fake, unscored]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), {0, 1, 2}),
        (Query(recipients=[ANNA]), {0, 2}),
        (Query(recipients=[ANNA, BERT]), {0, 1, 2}),
        (Query(recipients=[]), set()),
        (Query(recipients=["' OR 1=1 --"]), set()),
        (Query(verdicts=["fake", "unsure"]), {0, 1}),
        (Query(states=[State.RELEASED]), set()),
        (Query(states=()), {0, 1, 2}),
        (Query(words="LINKtausch"), {0}),
        (Query(words="zoe"), {0}),
        (Query(words="shop.example link"), {0}),
        (Query(words="linktausch gastbeitrag"), set()),
        (Query(words="FÜR"), {1}),
        (Query(words="ärger STRASSE"), {2}),
        (Query(words="100%_'"), {2}),
        (Query(words="%"), {2}),
        (Query(words="_"), {2}),
        (Query(words=BERT), {1}),
        (Query(words="\udcff"), set()),
        (Query(words="bert", recipients=[ANNA]), set()),
    ],
)
def test_filters(
    query: Query, expected: set[int], quarantine: Quarantine, three: list[str]
) -> None:
    page = quarantine.find(query)
    assert {three.index(item.id) for item in page.items} == expected
    assert page.total == len(expected)


def test_since_is_included_and_until_is_not(quarantine: Quarantine, three: list[str]) -> None:
    times = [quarantine.item(item).time for item in three]
    assert times == sorted(set(times))
    query = Query(since=times[1], until=times[2])
    assert ids(quarantine, query) == [three[1]]


def test_pages_go_through_all_and_say_how_many(quarantine: Quarantine) -> None:
    items = [held(quarantine) for _ in range(7)]
    pages = [quarantine.find(Query(offset=offset, limit=3)) for offset in (0, 3, 6, 9)]
    assert [item.id for page in pages for item in page.items] == items[::-1]
    assert [len(page.items) for page in pages] == [3, 3, 1, 0]
    assert {page.total for page in pages} == {7}


def test_counts_are_by_day_and_verdict(quarantine: Quarantine, three: list[str]) -> None:
    hold(quarantine, ANNA, state=State.DEFERRED).commit()  # held back from nobody
    quarantine.delete(three[0], "anna")  # was held all the same
    counts = {verdict: count for _, verdict, count in quarantine.counts_by_day(None, 1)}
    assert counts == {"fake": 1, "unsure": 1, "unscored": 1}
    assert [verdict for _, verdict, _ in quarantine.counts_by_day([BERT], 1)] == ["unsure"]
    assert quarantine.counts_by_day([], 30) == []


def test_what_its_recipient_took_out_is_gone(
    quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    assert ids(quarantine) == three[::-1]
    (path,) = (folder / BERT / "new").iterdir()
    path.unlink()
    shown = quarantine.find(Query())
    assert [item.state for item in shown.items] == [State.HELD, State.GONE, State.HELD]
    assert ids(quarantine) == [three[2], three[0]]  # told once
    assert quarantine.item(three[1]).state is State.GONE
    with pytest.raises(NotHeld, match="its recipient took it out"):
        quarantine.content(three[1])


def test_a_flagged_mail_is_listed_where_it_went(
    quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    """Whichever flags a mail client gives it, and takes away again."""
    (path,) = (folder / BERT / "new").iterdir()
    for name in (":2,RS", ":2,FRS", ":2,", ":2,S"):
        flagged = folder / BERT / "cur" / (path.name.partition(":")[0] + name)
        path = path.rename(flagged)
        assert ids(quarantine) == three[::-1]
        assert {item.state for item in quarantine.find(Query()).items} == {State.HELD}
    quarantine.reconcile()
    assert ids(quarantine) == three[::-1]


def test_what_dovecot_lays_beside_changes_nothing(
    quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    for name in ("dovecot-uidlist", "dovecot.index.log", "maildirfolder", "subscriptions"):
        (folder / ANNA / name).write_text("3 V1")
    (folder / ANNA / ".Trash" / "cur").mkdir(parents=True)
    (folder / ANNA / "cur" / "1764000000.M1P2.copied-by-imap:2,S").write_bytes(mail())
    (folder / "lost+found").mkdir()
    assert ids(quarantine) == three[::-1]
    quarantine.expire(0, 30)
    assert (folder / ANNA / "cur" / "1764000000.M1P2.copied-by-imap:2,S").exists()


def broken(path: Path, how: str) -> None:
    """Break the index."""
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "no database":
        path.write_bytes(b"From: somebody\r\n" * 1000)
    elif how == "cut off":
        os.truncate(path, path.stat().st_size // 2)
    elif how == "overwritten":
        octets = bytearray(path.read_bytes())
        octets[4096:] = b"\xa5" * (len(octets) - 4096)
        path.write_bytes(octets)
    elif how in ("another's", "older"):
        path.unlink()
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE items (n INTEGER)")
            if how == "older":
                db.executescript(f"PRAGMA application_id = {0x436F6F70}; PRAGMA user_version = 0")
        db.close()


@pytest.mark.parametrize(
    "how", ["missing", "empty", "no database", "cut off", "overwritten", "another's", "older"]
)
def test_an_index_of_no_use_is_made_anew(
    how: str, quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    assert ids(quarantine) == three[::-1]
    broken(folder / names.INDEX, how)
    more = held(quarantine)  # holding does not mind
    assert ids(quarantine) == [more, *three[::-1]]
    assert quarantine.find(Query(words="linktausch")).total == 1


def test_where_no_index_can_be_written_lists_are_right_all_the_same(
    quarantine: Quarantine, folder: Path, three: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / names.INDEX).mkdir()
    assert ids(quarantine) == three[::-1]
    quarantine.delete(three[0], "anna")
    assert ids(quarantine) == three[:0:-1]
    assert caplog.text.count("the index of held mail") == 1


def test_the_index_is_brought_in_line_with_files_that_were_put_back(
    quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    """A backup of the folder without the index, or with an older one."""
    assert ids(quarantine) == three[::-1]
    kept = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for path in kept:
        if three[0] in path.name or three[1] in path.name:
            path.unlink()
    quarantine.reconcile()
    assert ids(quarantine, Query(states=())) == [three[2]]
    for path, octets in kept.items():
        path.write_bytes(octets) if names.INDEX not in path.name else None
    quarantine.reconcile()
    assert ids(quarantine) == three[::-1]


def test_a_removed_recipient_is_listed_no_more(
    quarantine: Quarantine, folder: Path, three: list[str]
) -> None:
    assert ids(quarantine) == three[::-1]
    (folder / ANNA).rename(folder.parent / "elsewhere")
    quarantine.reconcile()
    assert ids(quarantine, Query(states=())) == [three[1]]


def test_a_record_that_is_none_is_passed_over(
    quarantine: Quarantine, folder: Path, three: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    record = folder / BERT / names.HELD / f"{three[1]}.jsonl"
    record.write_bytes(record.read_bytes()[:50])
    (folder / names.INDEX).unlink(missing_ok=True)
    assert ids(quarantine) == [three[2], three[0]]
    assert "no record of a held mail" in caplog.text
    with pytest.raises(NotHeld):
        quarantine.item(three[1])
    assert len(files(folder / BERT)) == 2  # the mail itself is never thrown away for that


def test_scores_and_clues_come_back_as_they_were(quarantine: Quarantine) -> None:
    judgement = replace(FAKE, clues=[("żółć \N{PILE OF POO}", -0.1234)])
    item = held(quarantine, judgement=judgement)
    assert quarantine.find(Query()).items[0].clues == (("żółć \N{PILE OF POO}", -0.1234),)
    assert quarantine.item(item).score == 0.97

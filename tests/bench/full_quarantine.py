"""What a full quarantine costs: listing, searching, opening, counting.

    python tests/bench/full_quarantine.py [--mails 100000] [--folder DIR] [--page]

Holds so many mails by the filter's own code (fsync alone is left out), for twenty recipients of
whom one has half of all; a third of the mails were seen or flagged by a mail client. Prints how
long it takes to make the index from the files, to bring it in line with them, and the median and
the worst time of each thing that a page asks for. With ``--page`` then ``coop-verdict review`` is
started on the mails, and the same is asked for over HTTP, logged in, up to the last octet of HTML.
``--folder`` keeps the mails for another time.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # when started as a script
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from milter.quarantine import names, scan
from milter.quarantine.store import Quarantine, Query
from milter.smtp.command import Address
from milter.smtp.envelope import Envelope
from milter.spam.action import header_fields
from milter.spam.verdict import Judgement, Score, Verdict

if TYPE_CHECKING:
    from harness.review import Browser

_RECIPIENTS = [f"recipient{i}@example.net" for i in range(20)]
_ROUNDS = 21
_SYLLABLES = "ba co di fu ge ha jo ki lu me no pa ri so tu va we xi yo za".split()
_VERDICTS = (Verdict.FAKE, Verdict.FAKE, Verdict.FAKE, Verdict.UNSURE)


def fill(quarantine: Quarantine, folder: Path, number: int) -> None:
    """Hold so many mails, then let a mail client flag some."""
    rng = random.Random(7)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(5000)]
    with mock.patch("os.fsync"):
        for i in range(number):
            _hold(quarantine, rng, words, _RECIPIENTS[0 if i % 2 else rng.randrange(20)])
    for maildir in scan.maildirs(folder):
        for mail in list(scan.mails(maildir).values()):
            if flags := rng.choice(("", "", "", "", ":2,S", ":2,RS")):
                mail.rename(maildir / "cur" / (mail.name + flags))


def _hold(quarantine: Quarantine, rng: random.Random, words: list[str], recipient: str) -> None:
    author = f"{rng.choice(words)}@{rng.choice(words)}.example"
    envelope = Envelope(Address(f"<{author}>".encode(), b"SIZE=1000 BODY=8BITMIME"))
    fake = rng.random()
    judgement = Judgement(
        rng.choice(_VERDICTS),
        "2026.11.23-0000000",
        Score(fake, 0.0, 1 - fake),
        asks=("link", "publication"),
        offers=("free-content",),
        clues=[(word, rng.random()) for word in rng.choices(words, k=6)],
    )
    fields = b"".join(header_fields(judgement))
    subject, body = " ".join(rng.choices(words, k=6)), " ".join(rng.choices(words, k=120))
    mail = f"From: {rng.choice(words).title()} <{author}>\r\nSubject: {subject}\r\n\r\n{body}\r\n"
    quarantine.hold([fields, mail.encode()], envelope, [_address(recipient)], judgement).commit()


def _address(mailbox: str) -> Address:
    return Address(f"<{mailbox}>".encode(), b"")


def measure(quarantine: Quarantine) -> None:
    """Print the median and the worst of each."""
    total = quarantine.find(Query()).total
    some = quarantine.find(Query(offset=total // 2)).items
    word = some[0].subject.split()[0]
    busy = _RECIPIENTS[:1]
    last = {"offset": max(0, quarantine.find(Query(recipients=busy)).total - 50)}
    asked: dict[str, Callable[[], object]] = {
        "list, first page by time": lambda: quarantine.find(Query()),
        "list, last page by time": lambda: quarantine.find(Query(offset=total - 50)),
        "list, first page by score": lambda: quarantine.find(Query(sort="score")),
        "list, last page by score": lambda: quarantine.find(Query(sort="score", offset=total - 50)),
        "list, last page by subject": lambda: quarantine.find(
            Query(sort="subject", offset=total - 50)
        ),
        "one recipient, first page": lambda: quarantine.find(Query(recipients=busy)),
        "one recipient, last by score": lambda: quarantine.find(
            Query(recipients=busy, sort="score", **last)
        ),
        "search, one word": lambda: quarantine.find(Query(words=word)),
        "search, three words": lambda: quarantine.find(Query(words=f"{word} example @")),
        "search, nothing found": lambda: quarantine.find(Query(words="nowhere")),
        "search, one recipient's": lambda: quarantine.find(Query(words=word, recipients=busy)),
        "open: item, history, content": _opening(quarantine, [item.id for item in some]),
        "counts of 30 days": lambda: quarantine.counts_by_day(None, 30),
        "counts of 30 days, one recipient": lambda: quarantine.counts_by_day(busy, 30),
        "deferred": quarantine.deferred,
    }
    print(f"{total} held mails, {_ROUNDS} rounds of each\n")
    _print_times(asked)


def _print_times(asked: Mapping[str, Callable[[], object]]) -> None:
    for name, ask in asked.items():
        times = [timed(ask) * 1000 for _ in range(_ROUNDS)]
        print(f"{name:<34} {statistics.median(times):7.1f} ms, at worst {max(times):7.1f} ms")


def measure_page(quarantine: Quarantine, folder: Path) -> None:
    """The same for the page as a process of its own, from the request to the whole answer."""
    from harness import page  # what it needs, the measurements above do without
    from harness.review import Browser
    from httpx2 import Client

    with tempfile.TemporaryDirectory(prefix="coop-page-") as name:
        config = Path(name, "settings.toml")
        text = page.settings_text(config.parent)
        config.write_text(text.replace(f"{name}/quarantine", str(folder.absolute())))
        page.add_user(config, "boss", "--admin")
        with page.running_page(config) as running, Client(base_url=running.url) as client:
            boss = Browser(client)
            assert boss.log_in("boss").status == 303, running.log
            _print_times({k: partial(_load, boss, v) for k, v in _addresses(quarantine).items()})


def _addresses(quarantine: Quarantine) -> dict[str, Iterator[str]]:
    """What is asked of the page, round by round."""
    from milter.review.filters import SIZE

    found = quarantine.find(Query(limit=_ROUNDS))
    word, last = found.items[0].subject.split()[0], -(-found.total // SIZE)
    always = {
        "page: list, first by time": "/",
        "page: list, last by time": f"/?page={last}",
        "page: list, last by score": f"/?sort=score&page={last}",
        "page: search, one word": f"/?q={word}",
        "page: search, three words": f"/?q={word}+example+%40",
        "page: search, nothing found": "/?q=nowhere",
        "page: overview": "/overview",
    }
    asked = {name: itertools.repeat(path) for name, path in always.items()}
    return {**asked, "page: open": itertools.cycle(f"/mail/{item.id}" for item in found.items)}


def _load(boss: Browser, paths: Iterator[str]) -> None:
    path = next(paths)
    status = boss.get(path).status
    assert status == 200, f"{path}: {status}"


def _opening(quarantine: Quarantine, ids: list[str]) -> Callable[[], object]:
    """Opens another one of ``ids`` each time."""
    turns = itertools.cycle(ids)

    def open_next() -> object:
        item = next(turns)
        return quarantine.item(item), quarantine.history(item), quarantine.content(item)

    return open_next


def timed(job: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill, measure, print."""
    parser = argparse.ArgumentParser(description="Speed of a large quarantine.")
    parser.add_argument("--mails", metavar="N", type=int, default=100_000)
    parser.add_argument("--folder", metavar="DIR", type=Path)
    parser.add_argument("--page", action="store_true", help="through the review page as well")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="coop-quarantine-") as place:
        folder = options.folder or Path(place)
        quarantine = Quarantine(folder)
        quarantine.prepare()
        if not any(scan.maildirs(folder)):
            print(f"filling: {timed(lambda: fill(quarantine, folder, options.mails)):.0f} s")
        for name in (names.INDEX, f"{names.INDEX}-wal", f"{names.INDEX}-shm"):
            (folder / name).unlink(missing_ok=True)
        print(f"index made from the files: {timed(quarantine.reconcile):.1f} s")
        print(f"index brought in line: {timed(quarantine.reconcile):.1f} s")
        print(f"index: {(folder / names.INDEX).stat().st_size / 1e6:.0f} MB")
        measure(quarantine)
        if options.page:
            measure_page(quarantine, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""One mail, several recipients, several wishes: what each gets, and what the sender is told."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from harness.ports import wait_until
from smtp import rig
from smtp.scripted_hop import DROP, SILENT, ScriptedHop
from spam.tiny import FAKE, NAME, NONE, write_models

from milter import delivery
from milter.config import load
from milter.deferred import keep_trying
from milter.delivery import Marking
from milter.pipeline import Pipeline
from milter.quarantine.item import Item, State
from milter.quarantine.query import Query
from milter.quarantine.store import Quarantine
from milter.seen import Index, recent
from milter.spam.bundle import Bundle, open_models
from milter.spam.policy import Policy, Wish
from milter.trust.trust import Trust, build

HOLD, TAG, MARK, LEAVE = "hold@a.example", "tag@a.example", "mark@a.example", "leave@a.example"
NAMED = {
    HOLD: Wish.QUARANTINE,
    TAG: Wish.TAG,
    MARK: Wish.TAG_SUBJECT,
    LEAVE: Wish.NOTHING,
}
VERDICT = b"X-Coop-Verdict: fake; score=1.00"
QUEUED = b"250 2.0.0 Ok: queued as 4F00BA\r\n"
CHASER = b"Subject: Hello\r\n\r\nHave you seen what I wrote to you on Monday?\r\n"
FORGED = b"X-Coop-Verdict: none\r\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return open_models(write_models(tmp_path / "models"))


class Site:
    """A filter with a quarantine, and a next hop that answers as a test wants."""

    def __init__(self, folder: Path, bundle: Bundle, answers: Mapping[str, bytes]) -> None:
        self.hop = ScriptedHop()
        self.answers = answers
        self.folder = folder
        self.quarantine = Quarantine(folder / "quarantine")
        self.quarantine.prepare()
        self.policy = Policy(named=NAMED)
        self.armed = True
        self.trust: Trust | None = None
        self._bundle = bundle

    def send(self, *recipients: str, mail: bytes = FAKE) -> bytes:
        """The last reply to one mail's sender."""
        self.hop = ScriptedHop(self.answers)
        return asyncio.run(self._send(recipients, mail))

    async def _send(self, recipients: Sequence[str], mail: bytes) -> bytes:
        pipeline = Pipeline(
            lambda: self._bundle,
            5.0,
            self.quarantine,
            armed=lambda model: self.armed and model == NAME,
            policy=self.policy,
            marking=Marking(clues=False, subject_prefix="[Fake?] "),
            index=Index(self.folder / "state", 1 << 20),
            trust=self.trust,
        )
        async with rig.running(self.hop, route=pipeline) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            reply = await rig.reply_from(reader)
            commands = [b"EHLO c", b"XFORWARD ADDR=192.0.2.7", b"MAIL FROM:<s@b.example> SIZE=99"]
            commands += [f"RCPT TO:<{to}> NOTIFY=NEVER".encode() for to in recipients]
            for octets in [line + b"\r\n" for line in [*commands, b"DATA"]] + [mail + b".\r\n"]:
                writer.write(octets)
                reply = await rig.reply_from(reader)
                if reply[:1] not in b"23":
                    break
            writer.close()
            return reply

    def held(self) -> list[Item]:
        """What is held, by recipient."""
        return sorted(self.quarantine.find(Query()).items, key=lambda item: item.recipient)

    def envelopes(self) -> list[list[bytes]]:
        """The recipients of each transaction that the next hop was given to its end."""
        found: list[list[bytes]] = []
        for line in b"".join(self.hop.connections).splitlines():
            if line.startswith(b"MAIL FROM"):
                recipients: list[bytes] = []
            elif line.startswith(b"RCPT TO"):
                recipients.append(line)
            elif line == b".":
                found.append(recipients)
        return found


def site(tmp_path: Path, bundle: Bundle, **answers: bytes) -> Site:
    return Site(tmp_path, bundle, {key.replace("_", " "): told for key, told in answers.items()})


def rcpt(*recipients: str) -> list[bytes]:
    return [f"RCPT TO:<{to}> NOTIFY=NEVER".encode() for to in recipients]


def test_one_wish_is_one_transaction(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    assert here.send(TAG, "other@a.example") == QUEUED
    assert here.envelopes() == [rcpt(TAG, "other@a.example")]
    assert b"RSET" not in here.hop.connections[0]
    assert here.hop.mails[0].startswith(VERDICT)


def test_a_fake_is_held_and_the_next_hop_gets_nothing(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    assert here.send(HOLD) == b"250 2.0.0 OK\r\n"
    assert here.hop.mails == []
    assert b"RSET\r\n" in here.hop.connections[0]
    (item,) = here.held()
    assert (item.recipient, item.sender, item.state) == (HOLD, "s@b.example", State.HELD)
    content = here.quarantine.content(item.id)
    assert content.startswith(VERDICT)
    assert content.endswith(FAKE)


def test_all_else_is_tagged_for_who_wants_fakes_held(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    assert here.send(HOLD, mail=NONE) == QUEUED
    assert here.hop.mails[0].startswith(b"X-Coop-Verdict: none")
    assert here.held() == []


def test_without_evidence_what_would_be_held_is_tagged(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    here.armed = False
    assert here.send(HOLD) == QUEUED
    assert here.hop.mails[0].startswith(VERDICT)
    assert here.held() == []


def test_to_each_what_the_recipient_wants(tmp_path: Path, bundle: Bundle) -> None:
    """One accepted mail: a copy is held, the others go on in a transaction for each variant."""
    here = site(tmp_path, bundle)
    assert here.send(TAG, HOLD, MARK, LEAVE, mail=FORGED + FAKE) == QUEUED
    assert here.envelopes() == [rcpt(TAG), rcpt(MARK), rcpt(LEAVE)]
    tagged, marked, left = here.hop.mails
    assert tagged.startswith(VERDICT)
    assert tagged.endswith(FAKE)
    assert FORGED not in tagged
    assert marked.startswith(VERDICT)
    assert marked.endswith(FAKE.replace(b"Subject: ", b"Subject: [Fake?]\r\n "))
    assert left == FAKE
    assert [item.recipient for item in here.held()] == [HOLD]
    wire = bytes(here.hop.connections[0])
    assert wire.count(b"MAIL FROM:<s@b.example> SIZE=99\r\n") == 4
    assert wire.count(b"XFORWARD ADDR=192.0.2.7\r\n") == 4


@pytest.mark.parametrize("refusal", [b"451 4.3.0 later\r\n", b"550 5.7.1 never\r\n"])
def test_what_the_next_hop_refuses_is_not_held_either(
    tmp_path: Path, bundle: Bundle, refusal: bytes
) -> None:
    here = site(tmp_path, bundle, dot=refusal)
    assert here.send(TAG, HOLD) == refusal
    assert here.held() == []
    assert leftovers(tmp_path) == []


def test_nor_what_the_next_hop_may_have(tmp_path: Path, bundle: Bundle) -> None:
    """No reply behind the final dot: the sender has the mail and sends it again."""
    here = site(tmp_path, bundle, dot=DROP)
    assert here.send(TAG, HOLD).startswith(b"451 4.4.2")
    assert leftovers(tmp_path) == []


def test_a_recipient_who_is_refused_the_second_time(tmp_path: Path, bundle: Bundle) -> None:
    """Accepted before, refused in the transaction that counts: the sender keeps the mail."""
    here = site(tmp_path, bundle, RCPT_3=b"450 4.2.1 not now\r\n")
    assert here.send(TAG, HOLD).startswith(b"451")
    assert here.hop.mails == []
    assert leftovers(tmp_path) == []


# A connection that breaks at MAIL is tried anew once: MAIL 4.
@pytest.mark.parametrize("trouble", [["dot_2"], ["DATA_2"], ["MAIL_3", "MAIL_4"], ["RCPT_4"]])
@pytest.mark.parametrize("answer", [b"451 4.3.0 later\r\n", b"550 5.7.1 never\r\n", DROP])
def test_a_second_variant_that_is_not_taken_waits(
    tmp_path: Path, bundle: Bundle, trouble: list[str], answer: bytes
) -> None:
    """The first recipients have theirs, so the mail cannot be given back: it is tried again."""
    here = site(tmp_path, bundle, **dict.fromkeys(trouble, answer))
    assert here.send(TAG, MARK) == QUEUED
    assert here.envelopes()[0] == rcpt(TAG)
    (item,) = here.held()
    assert (item.recipient, item.state) == (MARK, State.DEFERRED)
    content = here.quarantine.content(item.id)
    assert content.endswith(FAKE.replace(b"Subject: ", b"Subject: [Fake?]\r\n "))
    again = ScriptedHop()
    asyncio.run(one_round(here.quarantine, again))
    assert again.mails == [content]
    assert here.held() == []


def test_a_second_variant_goes_by_a_new_connection(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle, MAIL_3=DROP)
    assert here.send(TAG, MARK) == QUEUED
    assert here.envelopes() == [rcpt(TAG), rcpt(MARK)]
    assert here.held() == []


def test_a_slow_next_hop_does_not_keep_the_sender_waiting(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waited too long would send to all again what the first have already."""
    monkeypatch.setattr(delivery, "_PATIENCE", 0.3)
    here = site(tmp_path, bundle, MAIL_3=SILENT)
    assert here.send(TAG, MARK, LEAVE) == QUEUED
    assert here.envelopes() == [rcpt(TAG)]
    assert {(item.recipient, item.state) for item in here.held()} == {
        (MARK, State.DEFERRED),
        (LEAVE, State.DEFERRED),
    }


def test_a_deferred_mail_that_cannot_be_read_keeps_no_other_back(
    tmp_path: Path, bundle: Bundle
) -> None:
    here = site(tmp_path, bundle, dot_2=b"451 4.3.0 later\r\n", dot_3=b"451 4.3.0 later\r\n")
    here.send(TAG, MARK, LEAVE)
    first, _ = here.quarantine.deferred()
    (record,) = (tmp_path / "quarantine").glob(f"*/held/{first}.jsonl")
    record.unlink()
    record.mkdir()
    hop = ScriptedHop()
    asyncio.run(one_round(here.quarantine, hop, lambda: len(hop.mails) == 1))
    assert hop.mails == [FAKE]


def test_a_full_disk_leaves_the_mail_with_its_sender(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = site(tmp_path, bundle)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(here.quarantine, "hold", full, raising=False)
    assert here.send(TAG, HOLD).startswith(b"452 4.3.1")
    assert here.hop.mails == []


def test_in_shadow_nothing_changes_and_all_is_recorded(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    here.policy = Policy(named=NAMED, shadow=True)
    assert here.send(TAG, HOLD, MARK) == QUEUED
    assert here.envelopes() == [rcpt(TAG, HOLD, MARK)]
    assert here.hop.mails == [FAKE]
    assert here.held() == []
    (seen,) = recent(tmp_path / "state", 0)
    assert (seen.action, seen.would) == ("nothing", "tag,quarantine,tag-subject")


@pytest.mark.parametrize(
    ("reply", "verdict"), [(QUEUED, b"fake; score=0.33; reason=thread"), (b"550 no\r\n", b"none")]
)
def test_follow_ups_inherit_from_a_fake_that_was_taken(
    tmp_path: Path, bundle: Bundle, reply: bytes, verdict: bytes
) -> None:
    here = site(tmp_path, bundle, dot=reply)
    here.trust = build(load(None, {"trust": {"folder": str(tmp_path / "state")}}))
    assert here.trust
    author = b"From: a@b.example\r\n"
    here.send(TAG, mail=author + b"Message-ID: <1@b.example>\r\n" + FAKE)
    here.answers = {}
    here.send(TAG, mail=author + b"In-Reply-To: <1@b.example>\r\n" + CHASER)
    here.trust.close()
    assert here.hop.mails[0].startswith(b"X-Coop-Verdict: " + verdict)


def test_the_index_knows_whose_mail_it_was(tmp_path: Path, bundle: Bundle) -> None:
    here = site(tmp_path, bundle)
    here.send(TAG, HOLD)
    here.send(TAG, mail=NONE)
    folder = tmp_path / "state"
    assert [seen.verdict for seen in recent(folder, 0)] == ["fake", "none"]
    assert [seen.action for seen in recent(folder, 0, HOLD)] == ["tag,quarantine"]
    assert [seen.verdict for seen in recent(folder, 0, TAG)] == ["fake", "none"]
    assert list(recent(folder, 0, "nobody@a.example")) == []
    assert HOLD.encode() not in (folder / "seen.jsonl").read_bytes()


async def one_round(
    quarantine: Quarantine, hop: ScriptedHop, over: Callable[[], bool] | None = None
) -> None:
    """What the filter does with deferred mail, until there is none, or it is ``over``."""
    await hop.start()
    trying = asyncio.create_task(keep_trying(quarantine, lambda: rig.next_hop_at(hop.port)))
    over = over or (lambda: not quarantine.deferred())
    done = partial(wait_until, over, "the deferred mail is there")
    await asyncio.to_thread(done)
    trying.cancel()
    await hop.stop()


def leftovers(folder: Path) -> list[Path]:
    """Files of mails below the quarantine."""
    found = (folder / "quarantine").glob("*/*/*")
    return [path for path in found if path.is_file()]

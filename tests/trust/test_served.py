"""Trust in a filter that runs: what a real client sends, what lies in the Maildir afterwards."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from harness.dns import running_dns, txt
from harness.filter import RunningFilter, running_filter
from harness.ports import free_port, wait_until
from trust.signing import KeyPair, key_pair, sign, signed

from milter.mail.folder import as_content

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "demo"
OWNER = "owner@example.net"
SETTINGS = """
[trust]
allowed = ["friend.example"]
refused = ["spam.example"]
nameservers = ["{nameserver}"]
folder = "{folder}"
outgoing = "127.0.0.1:{outgoing}"
"""


@pytest.fixture(scope="module")
def keys() -> dict[str, KeyPair]:
    return {"good": key_pair(2048)}


@pytest.fixture(scope="module")
def outgoing() -> int:
    return free_port()


@pytest.fixture(scope="module")
def judge(
    keys: dict[str, KeyPair], outgoing: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningFilter]:
    folder = tmp_path_factory.mktemp("filter")
    record = f"good._domainkey TXT {txt('v=DKIM1; p=' + keys['good'].public)}"
    with running_dns({"friend.example": record}) as server:
        names = {"nameserver": server.address, "folder": folder / "state", "outgoing": outgoing}
        with running_filter(folder, SETTINGS.format(**names)) as running:
            yield running


def pitch(author: str, number: int, *fields: str) -> bytes:
    """A mail that the model that came with the filter calls fake."""
    header, _, body = as_content((DEMO / "2-fake-en.eml").read_bytes()).partition(b"\r\n\r\n")
    kept = [
        line for line in header.split(b"\r\n") if line.lower().startswith((b"subj", b"content"))
    ]
    own = [f"From: {author}", f"To: {OWNER}", f"Message-ID: <{number}@x.example>", *fields]
    return b"\r\n".join([*[line.encode() for line in own], *kept]) + b"\r\n\r\n" + body


def verdict_of(judge: RunningFilter, mail: bytes, sender: str = "bounce@x.example") -> str:
    """What the filter writes on top of ``mail``, without the words that weighed."""
    before = set(judge.mails())
    with smtplib.SMTP("127.0.0.1", judge.port, timeout=60) as client:
        client.sendmail(sender, [OWNER], mail)
    wait_until(lambda: set(judge.mails()) > before, f"a mail\n{judge.log}")
    (arrived,) = set(judge.mails()) - before
    told = message_from_bytes(arrived, policy=policy.default)["X-Coop-Verdict"].split("; ")
    return " ".join(word for word in told if "=" not in word or word.startswith("reason="))


def test_a_stranger_is_judged_by_the_words(judge: RunningFilter) -> None:
    assert verdict_of(judge, pitch("a@stranger.example", 1)) == "fake"


def test_allowed_and_signed(judge: RunningFilter, keys: dict[str, KeyPair]) -> None:
    mail = pitch("a@friend.example", 2)
    by_friend = signed(mail, (sign(d="friend.example", h="from:to:subject"),), keys)
    assert verdict_of(judge, by_friend) == "unscored reason=trusted-sender"
    assert verdict_of(judge, by_friend + b"One more thing.\r\n") == "fake"
    assert verdict_of(judge, mail) == "fake"


def test_refused(judge: RunningFilter) -> None:
    harmless = b"From: a@spam.example\r\nSubject: Hello\r\n\r\nHello.\r\n"
    assert verdict_of(judge, harmless) == "fake reason=refused-sender"
    hidden = harmless.replace(b"a@spam.example", b"a@stranger.example")
    assert verdict_of(judge, hidden, "b@mail.spam.example") == "fake reason=refused-sender"


def test_whom_the_owner_writes_to_is_known(judge: RunningFilter, outgoing: int) -> None:
    known = "colleague@partner.example"
    assert verdict_of(judge, pitch(known, 3)) == "fake"
    with smtplib.SMTP("127.0.0.1", outgoing, timeout=60) as client:
        client.sendmail(OWNER, [known], f"From: {OWNER}\r\nSubject: Hello\r\n\r\nHello\r\n")
    assert verdict_of(judge, pitch(known, 4)) == "unsure reason=known-correspondent"
    assert known.encode() not in b"".join(
        path.read_bytes() for path in (judge.folder / "state").iterdir()
    )


def test_a_follow_up_of_a_fake(judge: RunningFilter) -> None:
    author = "c@chaser.example"
    chaser = f"From: {author}\r\nIn-Reply-To: <5@x.example>\r\n\r\nWell?\r\n".encode()
    assert verdict_of(judge, chaser) == "unscored reason=too-little-text"
    assert verdict_of(judge, pitch(author, 5)) == "fake"
    assert verdict_of(judge, chaser) == "fake reason=thread"

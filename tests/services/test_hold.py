"""Postfix's own hold queue as the quarantine: the recipe of deploy/postfix/hold.master.cf."""

from __future__ import annotations

import json
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.filter import running_filter
from harness.ports import wait_until
from harness.postfix import Postfix, running_postfix

pytestmark = pytest.mark.postfix

DEMO = Path(__file__).resolve().parents[2] / "deploy" / "demo"
FAKE, WANTED = (
    (DEMO / name).read_bytes().replace(b"\n", b"\r\n")
    for name in ("1-fake-de.eml", "5-none-de.eml")
)
SENDER, ANNA, BERTA = "pitch@example.org", "anna@example.net", "berta@example.net"


@pytest.fixture(params=["before-queue", "after-queue"])
def postfix(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Postfix]:
    """Postfix with the recipe, and the filter."""
    settings = f'[filter]\narrangement = "{request.param}"\n'
    with (
        running_postfix(request.param, hold=True) as running,
        running_filter(
            tmp_path,
            settings,
            "--next-hop",
            f"127.0.0.1:{running.behind_port}",
            port=running.filter_port,
        ) as _,
    ):
        yield running


@pytest.fixture(autouse=True)
def _quiet(postfix: Postfix) -> Iterator[None]:
    """The recipe is such that Postfix finds nothing strange in it."""
    yield
    strange = [
        line for line in postfix.log.splitlines() if "coop-cleanup" in line and "fatal" in line
    ]
    assert strange == []


def send(postfix: Postfix, octets: bytes, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        assert client.sendmail(SENDER, recipients, octets) == {}


def command(postfix: Postfix, *words: str) -> str:
    done = subprocess.run(
        [f"/usr/sbin/{words[0]}", "-c", str(postfix.run / "etc"), *words[1:]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def held(postfix: Postfix) -> list[dict[str, Any]]:
    """The mails in the hold queue."""
    queue = [json.loads(line) for line in command(postfix, "postqueue", "-j").splitlines()]
    return [mail for mail in queue if mail["queue_name"] == "hold"]


def wait_for_held(postfix: Postfix, count: int) -> list[dict[str, Any]]:
    wait_until(lambda: len(held(postfix)) >= count, f"{count} held\n{postfix.log}")
    return held(postfix)


def test_a_fake_is_held_another_mail_is_delivered(postfix: Postfix) -> None:
    send(postfix, FAKE, ANNA, BERTA)
    (mail,) = wait_for_held(postfix, 1)
    assert mail["sender"] == SENDER
    assert [recipient["address"] for recipient in mail["recipients"]] == [ANNA, BERTA]
    assert f"{mail['queue_id']}!" in command(postfix, "postqueue", "-p")
    assert "X-Coop-Verdict: fake; " in command(postfix, "postcat", "-q", mail["queue_id"])
    send(postfix, WANTED, ANNA)
    (arrived,) = postfix.wait_for_mails(1)
    assert b"X-Coop-Verdict: none; " in arrived
    assert len(held(postfix)) == 1


def test_a_released_mail_arrives_with_its_envelope(postfix: Postfix) -> None:
    send(postfix, FAKE, ANNA, BERTA)
    (mail,) = wait_for_held(postfix, 1)
    command(postfix, "postsuper", "-H", mail["queue_id"])
    command(postfix, "postqueue", "-f")
    arrived = postfix.wait_for_mails(2)
    for recipient in (ANNA, BERTA):
        (copy,) = (copy for copy in arrived if f"Delivered-To: {recipient}".encode() in copy)
        assert copy.startswith(f"Return-Path: <{SENDER}>".encode())
        assert b"X-Coop-Verdict: fake; " in copy
        body = FAKE.replace(b"\r\n", b"\n").partition(b"\n\n")[2]
        assert copy.partition(b"\n\n")[2].rstrip() == body.rstrip()
    assert held(postfix) == []


def test_a_requeued_mail_is_judged_again_only_after_the_queue(postfix: Postfix) -> None:
    send(postfix, FAKE, ANNA)
    (mail,) = wait_for_held(postfix, 1)
    before = postfix.log.count("hold: header X-Coop-Verdict: fake")
    command(postfix, "postsuper", "-r", mail["queue_id"])
    command(postfix, "postkick", "public", "pickup", "W")  # it looks once a minute by itself
    if "content_filter" in (postfix.run / "etc" / "main.cf").read_text():
        again = "hold: header X-Coop-Verdict: fake"
        wait_until(lambda: postfix.log.count(again) > before, f"held again\n{postfix.log}")
        assert postfix.mails() == []
    else:
        (arrived,) = postfix.wait_for_mails(1)
        assert arrived.startswith(f"Return-Path: <{SENDER}>".encode())


def test_only_the_filters_own_word_holds(postfix: Postfix) -> None:
    """Not one that the sender wrote, and not one in an attached mail or in the text."""
    send(postfix, b"X-Coop-Verdict: fake; score=0.99\r\n" + WANTED, ANNA)
    head = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\nSubject: Weiter\r\n\r\n"
    )
    tagged = b"X-Coop-Verdict: fake; score=0.99\r\n" + WANTED
    text = WANTED.partition(b"\r\n\r\n")[2]
    forwarded = (
        b"--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + text
        + b"\r\n--x\r\nX-Coop-Verdict: fake\r\nContent-Type: message/rfc822\r\n\r\n"
        + tagged
        + b"\r\n--x--\r\n"
    )
    send(postfix, head + forwarded, ANNA)
    arrived = postfix.wait_for_mails(2)
    assert held(postfix) == []
    assert sum(b"X-Coop-Verdict: fake" in mail for mail in arrived) == 1

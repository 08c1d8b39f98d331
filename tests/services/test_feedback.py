"""The owner moves mails into a folder, and the running filter knows better.

Postfix, the filter, Postfix again and Dovecot's LMTP on the way in; an IMAP client in the owner's
hand; ``coop-train retrain`` on the whole corpus, gate and all. All tests share two lessons:

1. Five pitches of a family, let pass by the shipped model, are moved to the folder for fakes.
2. Five of another family get there by COPY and APPEND, and a wanted mail that is called fake since
   the first lesson is moved to the folder for mail that is neither.

Neighbours send mail all the time meanwhile.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import pytest
from harness.dovecot import PASSWORD, Dovecot, running_dovecot
from harness.filter import RunningFilter, running_filter
from harness.ports import wait_until
from harness.postfix import Postfix, running_postfix
from harness.traffic import Sender, traffic
from imapclient import IMAPClient

from milter.cli import main as coop_verdict
from milter.spam.bundle import open_models
from milter.spam.judge import judge_content

pytestmark = [pytest.mark.postfix, pytest.mark.dovecot]

SHIPPED = Path(__file__).resolve().parents[2] / "models"
FAMILIES = tomllib.loads(Path(__file__).with_name("corrections.toml").read_text(encoding="utf-8"))
OWNER, NEIGHBOURS = "owner@example.net", "neighbours@example.net"
FAKE, NONE = "Fake-Kooperation", "none"


@dataclass(frozen=True)
class Site:
    """The servers, the folder of the models, and the owner's mail client."""

    postfix: Postfix
    judge: RunningFilter
    dovecot: Dovecot
    models: Path
    owner: IMAPClient

    @property
    def model(self) -> str:
        return (self.models / "current").read_text().strip()


@dataclass(frozen=True)
class Lesson:
    """What was filed, what had come of it before (``found``), and what came in afterwards."""

    before: str
    model: str
    filed: list[EmailMessage]
    found: list[EmailMessage]
    next: EmailMessage
    sent_by_neighbours: list[str]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("filter")
    models = folder / "models"
    version = (SHIPPED / "current").read_text().strip()
    shutil.copytree(SHIPPED / version, models / version)
    shutil.copy(SHIPPED / "current", models)
    settings = (
        f'[filter]\narrangement = "after-queue"\n'  # which takes many mails on one connection
        f'[model]\nfolder = "{models}"\n[journal]\nfolder = "{folder}/state"\n'
    )
    with (
        running_dovecot(OWNER, NEIGHBOURS, imap=True) as dovecot,
        running_postfix("after-queue", lmtp=dovecot.lmtp) as postfix,
        running_filter(
            folder,
            settings,
            *("--next-hop", f"127.0.0.1:{postfix.behind_port}"),
            port=postfix.filter_port,
        ) as judge,
        IMAPClient("127.0.0.1", dovecot.imap, ssl=False, timeout=30) as owner,
    ):
        owner.login(OWNER, PASSWORD)
        for name in (FAKE, NONE):
            owner.create_folder(name)
        owner.select_folder("INBOX")
        yield Site(postfix, judge, dovecot, models, owner)


@pytest.fixture(scope="module")
def moved(site: Site) -> Lesson:
    """The first lesson: five siblings found in the inbox and moved."""
    *siblings, unseen = family("otter")
    before = site.model
    with neighbours(site, "first") as sent:
        receive(site, *siblings)
        found = [in_inbox(site, mail) for mail in siblings]
        site.owner.move(site.owner.search(["HEADER", "X-Coop-Verdict", "none"]), FAKE)
        retrain(site)
        receive(site, unseen)
    return Lesson(before, site.model, siblings, found, in_inbox(site, unseen), sent)


@pytest.fixture(scope="module")
def false_positive(site: Site, moved: Lesson) -> EmailMessage:
    """A wanted mail with the words of the first lesson, as it lies in the inbox."""
    (mail,) = family("wanted")
    receive(site, mail)
    return in_inbox(site, mail)


@pytest.fixture(scope="module")
def copied(site: Site, moved: Lesson, false_positive: EmailMessage) -> Lesson:
    """The second lesson: three siblings copied, one appended as it came in, one never seen here."""
    *siblings, unseen = family("flag")
    with neighbours(site, "second") as sent:
        receive(site, *siblings[:4])
        found = [in_inbox(site, mail) for mail in siblings[:4]]
        site.owner.copy([uid(site, mail) for mail in siblings[:3]], FAKE)
        site.owner.append(FAKE, found[3].as_bytes())
        site.owner.append(FAKE, siblings[4].as_bytes())
        site.owner.move([uid(site, false_positive)], NONE)
        retrain(site)
        receive(site, unseen)
    return Lesson(moved.model, site.model, siblings, found, in_inbox(site, unseen), sent)


@pytest.fixture(params=["moved", "copied"])
def lesson(request: pytest.FixtureRequest) -> Lesson:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Lesson)
    return found


def family(name: str) -> list[EmailMessage]:
    """The mails of a family, each with a Message-ID that no other run has."""
    return [_compose(**mail) for mail in FAMILIES[name]]


def _compose(sender: str, subject: str, body: str) -> EmailMessage:
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = sender, OWNER, subject
    mail["Date"], mail["Message-ID"] = (
        "Thu, 19 Nov 2026 09:00:00 +0100",
        make_msgid(domain="x.example"),
    )
    mail.set_content(body.lstrip())
    return mail


def receive(site: Site, *mails: EmailMessage) -> None:
    """Send mails to the owner by Postfix, and wait until all lie in the inbox."""
    with smtplib.SMTP("127.0.0.1", site.postfix.port, timeout=60) as client:
        for mail in mails:
            client.sendmail("sender@example.org", [OWNER], mail.as_bytes())
    for mail in mails:
        wait_until(lambda mail=mail: bool(_uids(site, mail)), f"it arrives\n{site.postfix.log}")


def _uids(site: Site, mail: EmailMessage) -> list[int]:
    site.owner.noop()
    return list(site.owner.search(["HEADER", "Message-ID", mail["Message-ID"]]))


def uid(site: Site, mail: EmailMessage) -> int:
    (number,) = _uids(site, mail)
    return number


def in_inbox(site: Site, mail: EmailMessage) -> EmailMessage:
    """A mail as the owner's client gets it."""
    number = uid(site, mail)
    octets = site.owner.fetch([number], ["BODY.PEEK[]"])[number][b"BODY[]"]
    return message_from_bytes(octets, policy=policy.SMTP)


def verdict(mail: EmailMessage) -> str:
    (found,) = mail.get_all("X-Coop-Verdict")
    return str(found).partition(";")[0]


def judged_by(mail: EmailMessage) -> str:
    return str(mail["X-Coop-Verdict"]).rpartition("model=")[2]


def passed_before(site: Site, lesson: Lesson, mail: EmailMessage) -> bool:
    """Whether the model that was in use before a lesson lets a mail pass."""
    bundle = open_models(site.models, lesson.before)
    return judge_content(mail.as_bytes(), bundle, 10).verdict != "fake"


def retrain(site: Site) -> None:
    """Learn from all mailboxes by the command; back when the filter has taken the model over."""
    command = [sys.executable, "-m", "training", "retrain"]
    command += ["--feedback", str(site.dovecot.mail), "--models", str(site.models)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert site.model in (site.models / "retrain.html").read_text()  # the review page offers it
    wait_until(lambda: f"model {site.model} in use" in site.judge.log, "the model is in use")


@contextmanager
def neighbours(site: Site, name: str) -> Iterator[list[str]]:
    """Neighbours send each other mail, over kept connections and new ones, to Postfix and to the
    filter itself; gives the Message-IDs when all is over.
    """
    senders = [
        Sender(f"{name}-{to}-{'kept' if kept else 'anew'}", port, NEIGHBOURS, kept)
        for to, port in (("postfix", site.postfix.port), ("filter", site.judge.port))
        for kept in (True, False)
    ]
    sent: list[str] = []
    with traffic(*senders):
        yield sent
    sent += [message_id for sender in senders for message_id in sender.accepted]


def of_neighbours(site: Site) -> list[EmailMessage]:
    """All mails in the neighbours' mailbox."""
    paths = (site.dovecot.mail / NEIGHBOURS / "new").iterdir()
    return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]


def why(site: Site, mail: EmailMessage, capsys: pytest.CaptureFixture[str]) -> str:
    """What ``coop-verdict why`` says of a mail."""
    config = site.judge.folder / "coop.toml"
    assert coop_verdict(["why", mail["Message-ID"], "--config", str(config)]) == 0
    return capsys.readouterr().out


def test_the_model_in_use_lets_the_pitches_pass(lesson: Lesson) -> None:
    assert all(judged_by(mail) == lesson.before for mail in lesson.found)
    assert not [mail["Subject"] for mail in lesson.found if verdict(mail) == "fake"]


def test_the_client_finds_the_first_family_with_none(moved: Lesson) -> None:
    assert [verdict(mail) for mail in moved.found] == ["none"] * 5


def test_an_unseen_sibling_is_tagged(lesson: Lesson) -> None:
    assert judged_by(lesson.next) == lesson.model
    assert verdict(lesson.next) == "fake"


def test_the_unseen_sibling_would_have_passed_before(site: Site, lesson: Lesson) -> None:
    assert passed_before(site, lesson, lesson.next)


def test_nobody_is_refused_or_cut_off_meanwhile(site: Site, lesson: Lesson) -> None:
    """Every mail that was accepted has arrived, once, judged by the old model or by the new one."""
    sent = set(lesson.sent_by_neighbours)
    wait_until(lambda: len(of_neighbours(site)) >= len(sent), "their mail arrives")
    wait_until(lambda: sent <= {mail["Message-ID"] for mail in of_neighbours(site)}, "all of it")
    mails = [mail for mail in of_neighbours(site) if mail["Message-ID"] in sent]
    assert len(mails) == len(sent) == len(lesson.sent_by_neighbours)
    assert {judged_by(mail) for mail in mails} == {lesson.before, lesson.model}
    assert {verdict(mail) for mail in mails} == {"none"}


def test_filter_and_postfix_have_nothing_to_complain_of(site: Site, copied: Lesson) -> None:
    assert site.judge.process.poll() is None
    assert not re.findall(r".* (?:WARNING|ERROR) .*", site.judge.log)
    assert not re.findall(r".*status=(?!sent).*", site.postfix.log)


def test_why_tells_verdict_and_receipt(
    site: Site, lesson: Lesson, copied: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    """The receipt is of the last retrain, which learned the mails of the first one once more."""
    for mail in lesson.filed:
        assert f"learned as fake into {copied.model}" in why(site, mail, capsys)
    for mail in lesson.found:
        assert f"{verdict(mail)}, score " in (said := why(site, mail, capsys))
        assert f"by model {lesson.before}" in said


def test_why_tells_of_a_mail_that_the_filter_never_saw(
    site: Site, copied: Lesson, capsys: pytest.CaptureFixture[str]
) -> None:
    said = why(site, copied.filed[-1], capsys)
    assert "The filter has not seen it" in said
    assert f"learned as fake into {copied.model}" in said


def test_a_false_positive_is_not_repeated(
    site: Site,
    moved: Lesson,
    false_positive: EmailMessage,
    copied: Lesson,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert passed_before(site, moved, false_positive)
    assert verdict(false_positive) == "fake"
    assert judged_by(false_positive) == moved.model
    (again,) = family("wanted")
    receive(site, again)
    assert verdict(in_inbox(site, again)) == "none"
    said = why(site, false_positive, capsys)
    assert "fake, score " in said
    assert f"learned as none into {copied.model}" in said

"""A pitch is held, looked at in a browser, and let go with one click.

Postfix, the filter and Postfix again; the review page as a process; Chromium, with scripts and
without. Each way, one story is told from beginning to end, and the tests look at what came of it.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import pytest
from harness.browser import Chromium, Visitor, press
from harness.feedback import collected
from harness.filter import RunningFilter, running_filter
from harness.page import OWN_SCRIPTS, RunningPage, add_user, log_in, running_page, settings_text
from harness.ports import wait_until
from harness.postfix import Postfix, running_postfix

pytestmark = [pytest.mark.postfix, pytest.mark.chromium]

HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "deploy" / "demo"
# The envelope has a sender of its own, as mailings have; this Postfix can deliver to it.
SENDER, OWNER, OTHER = "bounces+7@example.net", "owner@example.net", "other@example.net"
MAIL = f"MAIL FROM:<{SENDER}> RET=HDRS ENVID=campaign-7+2Bx"
RCPT = "RCPT TO:<Owner@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Web+2BMaster@example.net"


@dataclass(frozen=True)
class Site:
    """The servers, and the folder of filter and page."""

    postfix: Postfix
    judge: RunningFilter
    page: RunningPage
    folder: Path


@dataclass
class Story:
    """What was seen on the way of one mail, from the first step to the last."""

    sent: bytes
    message_id: str
    scripts: bool
    reply: int = 0
    arrived_before: list[bytes] = field(default_factory=list)
    listed: str = ""
    keys_work: bool = False
    address: str = ""
    clicks: int = 0
    said: str = ""
    stale: tuple[int, str] = (0, "")
    others_list: str = ""
    others_answers: list[tuple[int, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The held item's."""
        return self.address.rpartition("/")[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_postfix("before-queue") as postfix:
        settings = settings_text(folder, f"127.0.0.1:{postfix.behind_port}", "before-queue")
        with running_filter(folder, settings, port=postfix.filter_port) as judge:
            config = folder / "coop.toml"
            add_user(config, "owner", "--recipient", OWNER)
            add_user(config, "other", "--recipient", OTHER)
            with running_page(config) as page:
                yield Site(postfix, judge, page, folder)


@pytest.fixture(scope="module", params=[True, False], ids=["with-scripts", "without-scripts"])
def story(request: pytest.FixtureRequest, site: Site, chromium: Chromium) -> Story:
    """The story, told once with scripts and once without."""
    pitch = signed("2-fake-en" if request.param else "1-fake-de")
    told = Story(pitch, message_from_bytes(pitch)["Message-ID"], request.param)
    told.reply = send(site.postfix, pitch)
    told.arrived_before = copies(site, told)
    chromium.run(review(chromium, site, told, java_script_enabled=request.param))
    wait_until(lambda: bool(copies(site, told)), f"the mail arrives\n{site.postfix.log}")
    return told


def signed(sample: str) -> bytes:
    """A mail of the demo with a signature of its author's domain."""
    octets = (DEMO / f"{sample}.eml").read_bytes().replace(b"\n", b"\r\n")
    domain = re.search(rb"^From: .*@([a-z.-]+)>", octets, re.MULTILINE)[1]
    key = (HERE / "dkim-key.pem").read_bytes()
    return bytes(dkim.sign(octets, b"test", domain, key)) + octets


def public_key(name: bytes, timeout: int = 5) -> bytes:
    """The test's DNS."""
    assert name.startswith(b"test._domainkey.")
    return b"v=DKIM1; k=rsa; p=" + (HERE / "dkim-public.txt").read_bytes().strip()


def send(postfix: Postfix, octets: bytes) -> int:
    """Send a mail with all that an envelope can have; the last reply's code."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo()
        for command in (MAIL, RCPT):
            assert client.docmd(command)[0] == 250, command
        return client.data(octets)[0]


async def review(chromium: Chromium, site: Site, told: Story, **options: Any) -> None:
    """The owner finds the mail and lets it go; somebody else tries to; the owner tries again."""
    url = site.page.url
    async with chromium.visitor(url, **options) as owner, chromium.visitor(url, **options) as other:
        await log_in(owner.page, url, "owner")
        await log_in(other.page, url, "other")
        told.listed = await owner.page.inner_text("#main")
        told.keys_work = await owner.page.is_visible(".keys")  # a script shows the hint
        await press(owner.page, f"#mails a:has-text('{subject(told)}')")
        told.address = owner.page.url
        await look_as_somebody_else(other, told)
        stale = await owner.another_page()
        await stale.goto(told.address)
        await press(owner.page, "#release-none")
        told.said = await owner.page.inner_text("#main")
        answer = await press(stale, "#release-none")
        told.stale = (answer.status, await stale.inner_text("#main"))
        told.wrong = [*owner.watch.wrong(OWN_SCRIPTS), *other.watch.wrong(OWN_SCRIPTS)]


async def look_as_somebody_else(other: Visitor, told: Story) -> None:
    """The other recipient has a look around, and presses the button on the owner's mail."""
    told.others_list = await other.page.inner_text("#main")
    csrf = await other.page.get_attribute(".leave input[name=csrf]", "value")
    fields = {"csrf": csrf, "do": "release-none"}
    home = {"sec-fetch-site": "same-origin"}
    for answer in (
        await other.context.request.get(told.address),
        await other.context.request.post(told.address, form=fields, headers=home),
    ):
        told.others_answers.append((answer.status, await answer.text()))


def subject(told: Story) -> str:
    return str(message_from_bytes(told.sent, policy=policy.default)["Subject"])


def copies(site: Site, told: Story) -> list[bytes]:
    """The mail as it lies in the mailbox, every copy of it."""
    line = b"\nMessage-ID: " + told.message_id.encode()
    return [mail for mail in site.postfix.mails() if line in mail.partition(b"\n\n")[0]]


def delivered(site: Site, told: Story) -> bytes:
    """The one copy, with the line ends that it was sent with."""
    (mail,) = copies(site, told)
    return mail.replace(b"\n", b"\r\n")


def receipt(site: Site, told: Story) -> EmailMessage:
    """Postfix's report of the delivery, which the sender has asked for."""

    def reports() -> list[bytes]:
        kind = b"report-type=delivery-status"
        return [m for m in site.postfix.mails() if kind in m and told.message_id.encode() in m]

    wait_until(lambda: bool(reports()), f"a report comes\n{site.postfix.log}")
    (report,) = reports()
    return message_from_bytes(report, policy=policy.default)


def test_the_sender_has_its_250_and_nobody_has_the_mail_yet(story: Story) -> None:
    assert story.reply == 250
    assert story.arrived_before == []


def test_the_owner_finds_it_in_the_list(story: Story) -> None:
    assert subject(story) in story.listed
    assert re.fullmatch(r"[0-9a-f]{16}", story.id)


def test_scripts_run_or_not_as_told(story: Story) -> None:
    assert story.keys_work is story.scripts


def test_the_page_says_that_it_was_released_and_filed(story: Story) -> None:
    assert "Released: the mail server has taken it." in story.said
    assert "Filed as “not a pitch”" in story.said


def test_it_arrives_once_with_the_envelope_that_it_came_with(site: Site, story: Story) -> None:
    mail = message_from_bytes(delivered(site, story), policy=policy.default)
    assert mail["Return-Path"] == f"<{SENDER}>"
    assert mail["X-Original-To"] == mail["Delivered-To"] == "Owner@example.net"


def test_what_the_sender_asked_for_is_done(site: Site, story: Story) -> None:
    """NOTIFY, ENVID, ORCPT and RET went all the way: the report of success has all of it."""
    report = receipt(site, story)
    assert report["To"] == SENDER
    _, status, returned = report.iter_parts()
    about_mail, about_recipient = status.iter_parts()
    assert about_mail["Original-Envelope-Id"] == "campaign-7+x"
    assert about_recipient["Original-Recipient"] == "rfc822;Web+Master@example.net"
    assert about_recipient["Final-Recipient"] == "rfc822; Owner@example.net"
    assert about_recipient["Action"] == "delivered"
    assert returned.get_content_type() == "text/rfc822-headers"


def test_its_signature_holds(site: Site, story: Story) -> None:
    mail = delivered(site, story)
    assert dkim.verify(mail, dnsfunc=public_key)
    assert not dkim.verify(mail.replace(b"example", b"invalid"), dnsfunc=public_key)


def test_its_verdict_is_put_right(site: Site, story: Story) -> None:
    mail = message_from_bytes(delivered(site, story), policy=policy.default)
    (verdict,) = mail.get_all("X-Coop-Verdict")
    assert verdict.startswith("none; reason=released; model=")
    assert mail.get_all("X-Coop-Clues") is None


def test_retraining_finds_it_as_no_pitch(site: Site, story: Story) -> None:
    found = collected(site.folder / "feedback")
    (mail,) = [mail for mail in found.mails if f"<{mail.message_id}>" == story.message_id]
    assert (mail.label, mail.owner) == ("none", OWNER)
    assert mail.content == story.sent
    assert story.id in mail.source


def test_a_second_release_is_refused_in_words_and_delivers_nothing(
    site: Site, story: Story
) -> None:
    status, said = story.stale
    assert status == 409
    assert "This mail is not held any more." in said
    assert "It was released" in said
    # What Postfix has taken for a queue, it has logged before it answered.
    assert site.postfix.log.count(f"message-id={story.message_id}") == 1


def test_somebody_else_sees_nothing_of_it(story: Story) -> None:
    assert "No mail is held." in story.others_list
    assert [status for status, _ in story.others_answers] == [404, 404]
    for _, text in story.others_answers:
        assert subject(story) not in text
        assert story.id not in text


def test_nothing_ran_in_the_browser_and_nothing_was_loaded_from_elsewhere(story: Story) -> None:
    assert story.wrong == []


def test_filter_page_and_postfix_have_nothing_to_complain_of(site: Site, story: Story) -> None:
    complaints = re.findall(r".* (?:WARNING|ERROR) .*", site.judge.log + site.page.log)
    assert [line for line in complaints if "armed by force_quarantine" not in line] == []
    assert not re.findall(r".*status=(?!sent).*", site.postfix.log)

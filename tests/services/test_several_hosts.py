"""Three filter hosts, HAProxy and Postfix, each on a machine of its own: hosts may vanish and die.

What is set up is the example, ``deploy/several-hosts`` (``harness/several_hosts.py``). Once, under
load: one host is cut off, one killed, a new model published meanwhile; then both are back.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import smtplib
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from bench.several_hosts import Outage, Senders, all_up, check, checked, is_out, until
from bench.soak import Findings, Mail, Outcome, compose
from harness.ports import wait_until
from harness.several_hosts import HOSTS, Host, Site, restart_postfix, running_site

from training.publish import publish

pytestmark = pytest.mark.postfix

SEED = 7
SENDERS = 8
NEW = "2026.11.30-another"
# Postfix says no to the second host, at once.
_NO_WAY_BACK = """nft insert rule inet coop_verdict input
    ip saddr 10.25.0.12 tcp dport 10026 reject with tcp reset""".split()
_VERDICT = re.compile(rb"^X-Coop-Verdict:(?:.*\n[ \t])*.*model=(\S+)$", re.MULTILINE)


@dataclass
class Story:
    """What came of it: what HAProxy said of the hosts, when; the mailbox against the replies."""

    findings: Findings = field(default_factory=Findings)
    states: dict[str, dict[str, str]] = field(default_factory=dict)
    accepted_with_one_left: int = 0
    judged_before: dict[str, int] = field(default_factory=dict)
    judged_after: dict[str, int] = field(default_factory=dict)
    fetched_while_cut_off: str = ""
    mailbox: list[bytes] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    strangers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """All of it, told once."""
    told = Story()
    with running_site(tmp_path_factory.mktemp("site")) as site:
        told.strangers = strangers(site)
        asyncio.run(tell(site, told))
        told.mailbox = site.postfix.mails()
        told.logs = {name: host.log for name, host in site.hosts.items()}
    return told


async def tell(site: Site, told: Story) -> None:
    senders = Senders(site.postfix.port, SEED)
    async with asyncio.TaskGroup() as group:
        group.create_task(senders.run(SENDERS))
        outages = await lose_two(site, senders, told)
        await get_them_back(site, outages, told)
        senders.stop()
    told.findings = await checked(site, senders, outages)
    site.machines["mx"].run(*_NO_WAY_BACK)
    await is_out(site, "filter-2")
    told.states["one cannot reach Postfix"] = site.states()


async def lose_two(site: Site, senders: Senders, told: Story) -> list[Outage]:
    """The third host is cut off, the second killed, while mail comes."""
    one, two, three = site.hosts.values()
    await until(lambda: all(host.judged > 2 for host in site.hosts.values()), "all hosts judge")
    told.states["all three"] = site.states()
    outages = [Outage(three.name)]
    three.machine.unplug()
    new_model(site.models)
    for host in (one, two):
        await asyncio.to_thread(host.fetch_models)
    told.fetched_while_cut_off = await failure_of(three.fetch_models)
    await is_out(site, three.name)
    told.states["one cut off"] = site.states()
    outages.append(Outage(two.name))
    two.kill()
    await is_out(site, two.name)
    before = len(senders.accepted)
    await senders.more(30)
    told.states["one left"] = site.states()
    told.accepted_with_one_left = len(senders.accepted) - before
    return outages


async def get_them_back(site: Site, outages: list[Outage], told: Story) -> None:
    """Both are as before, and fetch what was published meanwhile."""
    _, two, three = site.hosts.values()
    told.judged_before = {name: host.judged for name, host in site.hosts.items()}
    three.machine.plug()
    two.start()
    await all_up(site, *outages)
    told.states["all back"] = site.states()
    for host in site.hosts.values():
        await asyncio.to_thread(host.fetch_models)
    await until(
        lambda: all(f"model={NEW}" in host.log for host in site.hosts.values()),
        "the new model in use by all",
    )
    told.judged_after = {name: host.judged for name, host in site.hosts.items()}


def new_model(models: Path) -> None:
    """Publish another bundle, as ``coop-train publish`` does: the same weights by another name."""
    folder = models / NEW
    shutil.copytree(models / (models / "current").read_text().strip(), folder)
    facts = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(facts | {"version": NEW}))
    publish(models, NEW)


async def failure_of(fetch: Callable[[], str]) -> str:
    try:
        return f"it went well: {await asyncio.to_thread(fetch)}"
    except AssertionError as error:
        return str(error)


def strangers(site: Site) -> dict[str, str]:
    """What becomes of who calls where nobody but a few may."""
    tried = {
        "a filter, from another filter": ("filter-2", "10.25.0.11", 10025),
        "a filter, from elsewhere": ("training", "10.25.0.11", 10025),
        "HAProxy, from elsewhere": ("training", "10.25.0.2", 10025),
        "behind the filters, from elsewhere": ("training", "10.25.0.1", 10026),
    }
    return {name: called(site, *way) for name, way in tried.items()}


def called(site: Site, machine: str, address: str, port: int) -> str:
    with site.machines[machine].entered():
        try:
            with socket.create_connection((address, port), timeout=10):
                return "connected"
        except ConnectionRefusedError:
            return "refused"


def test_nothing_is_lost(story: Story) -> None:
    """Each accepted mail is there, whole, with one X-Coop-Verdict; each was accepted in the end;
    what came twice came by a host that was lost behind the final dot."""
    assert story.findings.faults == []


def test_haproxy_takes_hosts_out_and_in_again(story: Story) -> None:
    assert story.states == {
        "all three": dict.fromkeys(HOSTS, "UP"),
        "one cut off": {"filter-1": "UP", "filter-2": "UP", "filter-3": "DOWN"},
        "one left": {"filter-1": "UP", "filter-2": "DOWN", "filter-3": "DOWN"},
        "all back": dict.fromkeys(HOSTS, "UP"),
        "one cannot reach Postfix": {"filter-1": "UP", "filter-2": "DOWN", "filter-3": "UP"},
    }


def test_one_host_of_three_is_enough(story: Story) -> None:
    assert story.accepted_with_one_left >= 30


@pytest.mark.parametrize("host", HOSTS)
def test_each_host_has_its_share_again(story: Story, host: str) -> None:
    assert story.judged_after[host] > story.judged_before[host] > 0


def test_a_model_reaches_all_hosts_as_files(story: Story) -> None:
    """Also the one that was cut off when it was published, and the one that was dead."""
    used = {
        host: {
            found
            for mail in story.mailbox
            if b"from %b." % host.encode() in mail
            for found in _VERDICT.findall(mail)
        }
        for host in HOSTS
    }
    assert all(NEW.encode() in models for models in used.values()), used
    assert all(f"model {NEW} in use" in story.logs[host] for host in ("filter-1", "filter-3"))


def test_a_host_that_cannot_fetch_says_so(story: Story) -> None:
    assert "rsync" in story.fetched_while_cut_off


def test_nobody_else_is_let_in(story: Story) -> None:
    assert set(story.strangers.values()) == {"refused"}, story.strangers


def arrived(host: str, attempt: int, queue_id: str) -> bytes:
    """Mail 0 as it lies in the mailbox, handed back by ``host``."""
    head = f"Return-Path: <soak-0-{attempt}@example.org>\r\n"
    head += f"Received: from {host}.example.org (unknown [10.25.0.11])\r\n"
    head += f"\tby mx (Postfix) with ESMTP id {queue_id}\r\nX-Coop-Verdict: none\r\n"
    content = compose(SEED, 0).removeprefix(b"X-Coop-Verdict: genuine; score=0.00\r\n")
    return (head.encode() + content).replace(b"\r\n", b"\n")


REJECTED = "proxy-reject: END-OF-MESSAGE: 451 4.3.0 Error: x; from=<soak-0-0@example.org> to=<"
ACCEPTED_LATER = [Outcome.PUT_OFF, Outcome.ACCEPTED]


@pytest.mark.parametrize(
    ("lost", "host", "log", "faults"),
    [
        ((1.0, 9.0), "filter-2", REJECTED, []),
        ((1.0, 9.0), "filter-1", REJECTED, ["arrived all the same"]),  # that one was there
        ((5.0, 9.0), "filter-2", REJECTED, ["arrived all the same"]),  # and it was, then
        ((1.0, 9.0), "filter-2", "", ["arrived all the same"]),  # it had answered
    ],
)
def test_what_explains_a_mail_that_came_twice(
    lost: tuple[float, float], host: str, log: str, faults: list[str]
) -> None:
    senders = Senders(0, SEED)
    senders.mails = [Mail(0, ACCEPTED_LATER)]
    senders.attempts = {(0, 0): (2.0, 4.0), (0, 1): (4.0, 4.5)}
    mailbox = [arrived(host, 0, "A1"), arrived("filter-1", 1, "B2")]
    findings = check(mailbox, log, senders, [Outage("filter-2", *lost)])
    assert [fault.partition(": ")[2] for fault in findings.faults] == faults
    assert findings.duplicates.total() == 1 - len(faults)


def test_behind_the_queue_without_haproxy(tmp_path: Path) -> None:
    """Postfix shares mail out among the hosts by itself, and passes over those that are gone."""
    with running_site(tmp_path, "after-queue") as site:
        one, two, three = site.hosts.values()
        count = send_until_all_have_judged(site, 0)
        assert_arrived(site, count)
        two.kill()
        three.machine.unplug()
        before = one.judged
        for number in range(20):
            send(site, count + number)
        assert_arrived(site, count + 20)
        assert one.judged == before + 20
        three.machine.plug()
        two.start()
        count = send_until_all_have_judged(site, count + 20)
        assert_arrived(site, count)
        assert_one_host_has_all_mail_of(site, two, count)


def send_until_all_have_judged(site: Site, count: int) -> int:
    """Send mails, beside ``count`` before, until each host has had one more; their count then."""
    before = {host.name: host.judged for host in site.hosts.values()}

    def one_more() -> bool:
        nonlocal count
        send(site, count)
        count += 1
        return all(host.judged > before[host.name] for host in site.hosts.values())

    wait_until(one_more, "each host has judged a mail")
    return count


def assert_one_host_has_all_mail_of(site: Site, host: Host, count: int) -> None:
    """As README.md has it for who wants mail held: his goes to the host that holds it."""
    settings = site.postfix.run / "etc"
    way = f"owner@example.net FILTER coop:[{host.machine.address}]:10025\n"
    (settings / "coop-held").write_text(way)
    rule = f"smtpd_recipient_restrictions=check_recipient_access texthash:{settings}/coop-held"
    site.machines["mx"].run("postconf", "-c", settings, "-e", rule)
    restart_postfix(site)  # after a reload an old smtpd may still take a mail by the old rule
    before = host.judged
    for number in range(10):
        send(site, count + number)
    assert_arrived(site, count + 10)
    assert host.judged == before + 10


def send(site: Site, number: int) -> None:
    with smtplib.SMTP("127.0.0.1", site.postfix.port, timeout=60) as client:
        mail = f"Subject: {number}\r\nMessage-ID: <{number}@example.org>\r\n\r\nBis morgen!\r\n"
        client.sendmail("uwe@example.org", ["owner@example.net"], mail)


def assert_arrived(site: Site, count: int) -> None:
    """So many mails, each once, with one verdict."""
    mails = site.postfix.wait_for_mails(count)
    subjects = sorted(int(re.findall(rb"^Subject: (\d+)$", mail, re.M)[0]) for mail in mails)
    assert subjects == list(range(count))
    assert all(len(_VERDICT.findall(mail)) == 1 for mail in mails)

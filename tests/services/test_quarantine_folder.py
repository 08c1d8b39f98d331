"""Dovecot shows each recipient the own quarantine, as the folder of deploy/dovecot/quarantine.conf.

Postfix, the filter, Postfix again and Dovecot's LMTP on the way in; an IMAP client in the owner's
hand; the filter's commands on the same mails meanwhile.
"""

from __future__ import annotations

import smtplib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

import pytest
from harness.dovecot import PASSWORD, Dovecot, running_dovecot
from harness.feedback import collected
from harness.filter import RunningFilter, running_filter
from harness.ports import wait_until
from harness.postfix import Postfix, running_postfix
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from milter.cli import main as coop_verdict
from milter.errors import NotHeld
from milter.quarantine.item import Item, State
from milter.quarantine.query import Query
from milter.quarantine.store import Quarantine

pytestmark = [pytest.mark.postfix, pytest.mark.dovecot]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PITCH = (DEPLOY / "demo" / "2-fake-en.eml").read_text(encoding="utf-8")
OWNER, NEIGHBOUR = "owner@example.net", "neighbour@example.net"
# A group of every Debian machine that Dovecot's mail processes are not in by themselves.
GROUP = "mail"

_INBOX = """
namespace inbox {
  inbox = yes
}
"""
_SETTINGS = """
[policy]
default = "quarantine"
force_quarantine = true
[quarantine]
folder = "{quarantine}"
group = "{group}"
[journal]
folder = "{folder}/state"
[trust]
threads = false
"""


@dataclass(frozen=True)
class Site:
    """The servers, the settings file, the quarantine, and the mail clients."""

    postfix: Postfix
    dovecot: Dovecot
    judge: RunningFilter
    config: Path
    quarantine: Quarantine
    owner: IMAPClient
    neighbour: IMAPClient

    def hold(self) -> Item:
        """A fake comes in for the owner and is held."""
        mail = message_from_bytes(PITCH.encode("utf-8"), policy=policy.SMTP)
        mail.replace_header("Message-ID", make_msgid(domain="pitch.example"))
        before = {item.id for item in self.held()}
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=60) as client:
            client.sendmail("pitch@example.org", [OWNER], mail.as_bytes())
        (item,) = [item for item in self.held() if item.id not in before]
        return item

    def held(self) -> list[Item]:
        """What is held for the owner."""
        return list(self.quarantine.find(Query(recipients=[OWNER])).items)

    def path(self, item: Item) -> Path:
        """The file of a held mail."""
        folder = self.dovecot.run / "quarantine" / OWNER
        (path,) = [path for part in ("new", "cur") for path in (folder / part).glob(f"*{item.id}*")]
        return path

    def number(self, item: Item) -> int:
        """The mail's number in the owner's folder, which is open then."""
        octets = self.path(item).read_bytes()
        self.owner.select_folder("Quarantine")
        return only(self.owner, message_id(octets))

    def arrived(self, mail_id: str, folder: str = "INBOX") -> EmailMessage:
        """A mail in another folder of the owner's, once it is there."""
        self.owner.select_folder(folder)

        def there() -> bool:
            self.owner.noop()
            return bool(self.owner.search(["HEADER", "Message-ID", mail_id]))

        wait_until(there, f"it arrives\n{self.postfix.log}")
        return fetched(self.owner, only(self.owner, mail_id))


def only(client: IMAPClient, mail_id: str) -> int:
    """The number of the one mail with a Message-ID in the folder that is open."""
    (number,) = client.search(["HEADER", "Message-ID", mail_id])
    return int(number)


def fetched(client: IMAPClient, number: int) -> EmailMessage:
    """A mail as a client reads it, without setting a flag."""
    return parsed(client.fetch([number], ["BODY.PEEK[]"])[number][b"BODY[]"])


def parsed(octets: bytes) -> EmailMessage:
    return message_from_bytes(octets, policy=policy.SMTP)


def message_id(octets: bytes) -> str:
    return str(parsed(octets)["Message-ID"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("filter")
    shown = (DEPLOY / "dovecot" / "quarantine.conf").read_text()
    shown = shown.replace("/var/lib/coop-verdict", "{run}")
    shown = shown.replace("mail_access_groups = coop-quarantine", f"mail_access_groups = {GROUP}")
    with (
        running_dovecot(OWNER, NEIGHBOUR, imap=True, conf=_INBOX + shown) as dovecot,
        running_postfix("before-queue", lmtp=dovecot.lmtp) as postfix,
        running_filter(
            folder,
            _SETTINGS.format(folder=folder, quarantine=dovecot.run / "quarantine", group=GROUP),
            *("--next-hop", f"127.0.0.1:{postfix.behind_port}"),
            port=postfix.filter_port,
        ) as judge,
        logged_in(dovecot, OWNER) as owner,
        logged_in(dovecot, NEIGHBOUR) as neighbour,
    ):
        quarantine = Quarantine(dovecot.run / "quarantine", GROUP)
        config = folder / "commands.toml"  # as the filter's, with the next hop that it was told
        hop = f'[filter]\nnext_hop = "127.0.0.1:{postfix.behind_port}"\n'
        config.write_text(hop + (folder / "coop.toml").read_text())
        yield Site(postfix, dovecot, judge, config, quarantine, owner, neighbour)


@contextmanager
def logged_in(dovecot: Dovecot, user: str) -> Iterator[IMAPClient]:
    with IMAPClient("127.0.0.1", dovecot.imap, ssl=False, timeout=30) as client:
        client.login(user, PASSWORD)
        yield client


@pytest.fixture
def item(site: Site) -> Item:
    """A mail that is held for the owner."""
    return site.hold()


def folders(client: IMAPClient) -> dict[str, set[bytes]]:
    """The folders that a client is shown, with their attributes."""
    return {name: set(attributes) for attributes, _, name in client.list_folders()}


def test_the_owner_reads_what_is_held(site: Site, item: Item) -> None:
    assert b"\\Noselect" not in folders(site.owner)["Quarantine"]
    mail = fetched(site.owner, site.number(item))
    assert str(mail["X-Coop-Verdict"]).startswith("fake; score=")
    assert mail.get_content().splitlines() == parsed(PITCH.encode()).get_content().splitlines()
    assert site.quarantine.item(item.id).state is State.HELD


def test_what_is_moved_to_the_inbox_is_gone_and_not_released(site: Site, item: Item) -> None:
    number, mail_id = site.number(item), message_id(site.path(item).read_bytes())
    site.owner.move([number], "INBOX")
    assert str(site.arrived(mail_id)["X-Coop-Verdict"]).startswith("fake; ")
    assert site.quarantine.item(item.id).state is State.GONE
    assert item.id not in [held.id for held in site.held()]
    with pytest.raises(NotHeld, match="its recipient took it out"):
        site.quarantine.content(item.id)
    assert coop_verdict(["quarantine", "release", item.id, "--config", str(site.config)]) != 0
    only(site.owner, mail_id)  # it has come once


def test_what_was_read_is_released_all_the_same(site: Site, item: Item) -> None:
    number, mail_id = site.number(item), message_id(site.path(item).read_bytes())
    site.owner.add_flags([number], [b"\\Seen"])
    assert site.path(item).name.endswith(":2,S")
    assert coop_verdict(["quarantine", "release", item.id, "--config", str(site.config)]) == 0
    mail = site.arrived(mail_id)
    assert str(mail["X-Coop-Verdict"]).startswith("none; reason=released; ")
    assert mail["Return-Path"] == "<pitch@example.org>"
    assert site.quarantine.item(item.id).state is State.RELEASED
    site.owner.select_folder("Quarantine")
    assert site.owner.search(["HEADER", "Message-ID", mail_id]) == []


def test_what_is_moved_to_a_feedback_folder_is_learned(site: Site, item: Item) -> None:
    number, mail_id = site.number(item), message_id(site.path(item).read_bytes())
    site.owner.create_folder("none")
    site.owner.move([number], "none")
    site.arrived(mail_id, "none")
    assert site.quarantine.item(item.id).state is State.GONE
    found = collected(site.dovecot.mail)
    (mail,) = [mail for mail in found.mails if f"<{mail.message_id}>" == mail_id]
    assert (mail.label, mail.owner) == ("none", OWNER)
    assert b"X-Coop-" not in mail.content
    sent = PITCH.replace("<demo-fake-en@trailpackers.example>", mail_id)
    assert mail.content == sent.replace("\n", "\r\n").encode()


def test_nobody_else_sees_it(site: Site, item: Item) -> None:
    """The neighbour, for whom nothing is held, has no folder that can be opened or made."""
    assert site.held()
    assert folders(site.neighbour).get("Quarantine", {b"\\Noselect"}) >= {b"\\Noselect"}
    for name in ("Quarantine", f"Quarantine.{OWNER}", f"Quarantine/../{OWNER}"):
        with pytest.raises(IMAPClientError):
            site.neighbour.select_folder(name)


def test_a_client_cannot_stand_in_the_way_of_the_filter(site: Site) -> None:
    """A folder that Dovecot made would be none that the filter can hold mail in."""
    with pytest.raises(IMAPClientError):
        site.neighbour.create_folder("Quarantine")
    with pytest.raises(IMAPClientError):
        site.owner.delete_folder("Quarantine")
    names = sorted(path.name for path in (site.dovecot.run / "quarantine").iterdir())
    assert NEIGHBOUR not in names
    assert OWNER in names


def test_the_modes_are_those_that_the_file_tells(site: Site, item: Item) -> None:
    top = site.dovecot.run / "quarantine"
    own = top / OWNER
    assert mode(top) == (0o710, GROUP)
    assert mode(own) == mode(own / "cur") == (0o2770, GROUP)
    assert mode(site.path(item)) == (0o660, GROUP)
    for private in (own / "held", top / "index.sqlite"):
        assert mode(private)[0] & 0o077 == 0


def mode(path: Path) -> tuple[int, str]:
    """Permissions and group of a file."""
    return stat.S_IMODE(path.stat().st_mode), path.group()

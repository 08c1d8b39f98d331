"""TXT records from a real name server: found, missing, failing, remembered and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import dns.asyncresolver
import dns.flags
import dns.message
import dns.resolver
import pytest
from harness.dns import BROKEN, NameServer, running_dns, silent_dns, txt

from milter.errors import StartError
from milter.trust import dns as module
from milter.trust.dns import DnsFault, NoSuchName, Resolver
from milter.trust.nameserver import parse_nameserver

pytestmark = pytest.mark.nsd

LONG = "n=" + "a" * 3000
ZONES = {
    "example.org": f"""
one TXT "v=DKIM1; " "p=abc"
two TXT "first"
two TXT "second"
long TXT {txt(LONG)}
huge TXT {txt("a" * 9000)}
fleeting 0 TXT "fleeting"
lasting 864000 TXT "lasting"
alias CNAME one
lost CNAME nowhere
address A 192.0.2.1
""",
    "broken.example": BROKEN,
}


class Clock:
    """The resolver's time, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Iterator[NameServer]:
    with running_dns(ZONES) as running:
        yield running


def outcome(resolver: Resolver, name: str) -> object:
    """The records of a name, or the type of what was raised."""

    async def ask() -> object:
        try:
            return await resolver.txt(name)
        except (NoSuchName, DnsFault) as error:
            return type(error)

    return asyncio.run(ask())


def test_what_the_server_says(server: NameServer) -> None:
    resolver = Resolver([server.address])
    expected = {
        "one.example.org": (b"v=DKIM1; p=abc",),
        "one.example.org.": (b"v=DKIM1; p=abc",),
        "ONE.Example.ORG": (b"v=DKIM1; p=abc",),
        "alias.example.org": (b"v=DKIM1; p=abc",),
        "long.example.org": (LONG.encode(),),  # too long for UDP
        "huge.example.org": DnsFault,
        "nowhere.example.org": NoSuchName,
        "lost.example.org": NoSuchName,
        "address.example.org": NoSuchName,  # it is there, but has no TXT
        "one.broken.example": DnsFault,  # SERVFAIL
        "one.example.net": DnsFault,  # REFUSED
    }
    assert {name: outcome(resolver, name) for name in expected} == expected
    two = outcome(resolver, "two.example.org")
    assert isinstance(two, tuple)
    assert sorted(two) == [b"first", b"second"]


@pytest.mark.parametrize(
    "name", ["a..b", f"{'a' * 64}.example.org", "a." * 150, "büro.example.org", "\\999", "a\\"]
)
def test_what_is_no_name_is_not_asked_for(name: str) -> None:
    with silent_dns() as silent:
        assert outcome(Resolver([silent.address], deadline=0.2), name) is NoSuchName
        assert silent.questions() == []


def test_no_answer() -> None:
    with silent_dns() as silent:
        assert outcome(Resolver([silent.address], deadline=0.2), "one.example.org") is DnsFault
        assert silent.questions()
        closed = silent.address
    assert outcome(Resolver([closed], deadline=0.2), "one.example.org") is DnsFault


def test_the_question() -> None:
    """Recursion is wanted, and as much by UDP as passes every path, so that keys come at once."""
    with silent_dns() as silent:
        outcome(Resolver([silent.address], deadline=0.2), "One.example.org")
        question = dns.message.from_wire(silent.questions()[0])
    assert question.flags == dns.flags.RD
    assert question.payload == 1232
    assert str(question.question[0]) == "one.example.org. IN TXT"


def test_the_second_server_is_asked(server: NameServer) -> None:
    with silent_dns() as silent:
        resolver = Resolver([silent.address, server.address], deadline=6.0)
        assert outcome(resolver, "one.example.org") == (b"v=DKIM1; p=abc",)
        assert silent.questions()


@pytest.mark.parametrize(
    ("name", "answer", "kept"),
    [
        ("one.example.org", (b"v=DKIM1; p=abc",), 60),
        ("nowhere.example.org", NoSuchName, 45),
        ("address.example.org", NoSuchName, 45),
        ("fleeting.example.org", (b"fleeting",), 30),
        ("lasting.example.org", (b"lasting",), 3600),
    ],
)
def test_answers_are_kept_as_long_as_the_zone_says(
    server: NameServer, name: str, answer: object, kept: int
) -> None:
    clock = Clock()
    resolver = Resolver([server.address], deadline=0.5, clock=clock)
    assert outcome(resolver, name) == answer
    server.stop()
    clock.now += kept - 1
    assert outcome(resolver, name) == answer
    clock.now += 1
    assert outcome(resolver, name) is DnsFault


def test_faults_are_kept_for_a_moment_only(server: NameServer) -> None:
    clock = Clock()
    with silent_dns() as silent:
        resolver = Resolver([silent.address], deadline=0.2, clock=clock)
        assert outcome(resolver, "one.example.org") is DnsFault
        assert silent.questions()
        clock.now += 4
        assert outcome(resolver, "one.example.org") is DnsFault
        assert silent.questions() == []
        clock.now += 1
        assert outcome(resolver, "one.example.org") is DnsFault
        assert silent.questions()


def test_the_names_asked_for_last_are_kept(
    server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_NAMES", 2)
    resolver = Resolver([server.address], deadline=0.5)
    for name in ("one", "fleeting", "one", "lasting"):
        assert isinstance(outcome(resolver, f"{name}.example.org"), tuple)
    server.stop()
    kept = [outcome(resolver, f"{name}.example.org") for name in ("one", "lasting", "fleeting")]
    assert kept == [(b"v=DKIM1; p=abc",), (b"lasting",), DnsFault]


def run_with(
    address: str, use: Callable[[Resolver], Awaitable[object]], deadline: float = 0.4
) -> None:
    async def main() -> None:
        await use(Resolver([address], deadline))

    asyncio.run(main())


def test_one_question_for_all_who_want_to_know() -> None:
    async def fifty(resolver: Resolver) -> None:
        waiting = (resolver.txt("one.example.org") for _ in range(50))
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(answer) for answer in answers} == {DnsFault}

    with silent_dns() as silent:
        run_with(silent.address, fifty)
        assert 1 <= len(silent.questions()) <= 3  # the question and its repeats


def test_who_gives_up_does_not_stop_the_others(server: NameServer) -> None:
    async def two(resolver: Resolver) -> None:
        hasty, patient = (asyncio.create_task(resolver.txt("one.example.org")) for _ in range(2))
        await asyncio.sleep(0)
        hasty.cancel()
        assert await patient == (b"v=DKIM1; p=abc",)
        assert hasty.cancelled()

    run_with(server.address, two, deadline=3.0)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 53),
        ("127.0.0.1:5353", "127.0.0.1", 5353),
        ("::1", "::1", 53),
        ("[::1]", "::1", 53),
        ("[::1]:5353", "::1", 5353),
        ("2001:db8::53", "2001:db8::53", 53),
        ("[fe80::1%eth0]:53", "fe80::1%eth0", 53),
    ],
)
def test_name_servers_in_the_settings(text: str, host: str, port: int) -> None:
    assert parse_nameserver(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dns.example.org",
        "dns.example.org:53",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:x",
        "127.0.0.256",
        "[127.0.0.1]:53",
        "[::1]:",
        "[::1",
        "127.0.0.1:53\n",
        "127.0.0.1:٥٣",
    ],
)
def test_what_is_no_name_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a name server: write its address"):
        parse_nameserver(text)


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine whose resolv.conf is missing or names no server."""

    def read_resolv_conf(*_: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.asyncresolver.Resolver, "read_resolv_conf", read_resolv_conf)
    with pytest.raises(StartError, match="no name server to ask"):
        Resolver()

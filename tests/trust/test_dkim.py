"""What a mail's DKIM signatures come to: the table of outcomes, with keys from a real name server.

Nothing here may raise, and nothing of a mail may get into a log or into an answer.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.dns import BROKEN, NameServer, running_dns, silent_dns, txt
from trust.dkim_rows import BOOKS, FAIL, FOREIGN, NONE, PASS, READ, ROWS, UNKNOWN, Row
from trust.signing import (
    MAIL,
    Fixed,
    KeyPair,
    ed25519_pair,
    key_pair,
    public_key,
    sign,
    signed,
)

from milter.mail.author import author
from milter.trust.dkim import Signed, check
from milter.trust.dns import Resolver


@pytest.fixture(scope="module")
def keys() -> dict[str, KeyPair]:
    bits = {"good": 1024, "small": 1000, "tiny": 512}
    made = {name: key_pair(number) for name, number in bits.items()}
    made |= {"ed": ed25519_pair(), "another": ed25519_pair()}
    one = b"\x01" + bytes(31)
    return made | {
        "short": KeyPair(Fixed(bytes(63)), ""),
        "one": KeyPair(Fixed(one + bytes(32)), b64encode(one).decode()),
    }


def with_parameters(key: str) -> str:
    """The key with an octet more behind the identifier of RSA, where RFC 8017 A.1 has NULL."""
    return b64encode(b64decode(key).replace(b"\x05\x00", b"\x05\x01", 1)).decode()


def der_of_ed25519(key: str) -> str:
    """The key as a SubjectPublicKeyInfo (RFC 8410), as OpenSSL writes it."""
    return b64encode(bytes.fromhex("302a300506032b6570032100") + b64decode(key)).decode()


def records(keys: dict[str, KeyPair]) -> str:
    """A zone's keys, by selector."""
    good = keys["good"].public
    modulus = 2**2047 + 1
    texts = {
        "good": [f"v=DKIM1; k=rsa; p={good}"],
        "revoked": ["v=DKIM1; p="],
        "small": [f"v=DKIM1; p={keys['small'].public}"],
        "tiny": [f"v=DKIM1; p={keys['tiny'].public}"],
        "testing": [f"v=DKIM1; t=y:s; p={good}"],
        "strict": [f"v=DKIM1; t=s; p={good}"],
        "version": [f"v=DKIM2; p={good}"],
        "spf": ["v=spf1 -all"],
        "twice": [f"v=DKIM1; p={good}", f"v=DKIM1; p={good[::-1]}"],
        "both": [f"v=DKIM1; p={good}", "v=spf1 -all"],
        "ed448": [f"v=DKIM1; k=ed448; p={good}"],
        "ed": [f"v=DKIM1; k=ed25519; p={keys['ed'].public}"],
        "ed-testing": [f"v=DKIM1; k=ed25519; t=y; p={keys['ed'].public}"],
        "ed-short": [f"v=DKIM1; k=ed25519; p={b64encode(bytes(31)).decode()}"],
        "ed-der": [f"v=DKIM1; k=ed25519; p={der_of_ed25519(keys['ed'].public)}"],
        "ed-one": [f"v=DKIM1; k=ed25519; p={keys['one'].public}"],
        "sha1": [f"v=DKIM1; h=sha1; p={good}"],
        "hashes": [f"v=DKIM1; h=sha1 : sha256; p={good}"],
        "tlsrpt": [f"v=DKIM1; s=tlsrpt; p={good}"],
        "services": [f"v=DKIM1; s=tlsrpt:email; p={good}"],
        "garbled": [f"v=DKIM1; p={good[:50]}!{good[51:]}"],
        "cut": [f"v=DKIM1; p={good[:100]}"],
        "null": [f"v=DKIM1; p={with_parameters(good)}"],
        "other": [f"v=DKIM1; p={public_key(modulus, 65537)}"],
        "wide": [f"v=DKIM1; p={public_key(2**8191 + 1, 65537)}"],
        "even": [f"v=DKIM1; p={public_key(modulus + 1, 65537)}"],
        "one": [f"v=DKIM1; p={public_key(modulus, 1)}"],
        "slow": [f"v=DKIM1; p={public_key(modulus, modulus - 2)}"],
        "bare": [f"p={good}"],
        "xn--grn-ioa": [f"v=DKIM1; p={good}"],
        "strings": [f"v=DKIM1; p={good[:40]} {good[40:]};"],
    }
    lines = [f"{name}._domainkey TXT {txt(text)}" for name, all_ in texts.items() for text in all_]
    lines += ["alias._domainkey CNAME good._domainkey", "address._domainkey A 192.0.2.1"]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def server(keys: dict[str, KeyPair]) -> Iterator[NameServer]:
    good = "good._domainkey TXT " + txt(f"v=DKIM1; p={keys['good'].public}")
    zones = {"author.example": records(keys), "broken.example": BROKEN}
    others = ("foreign.example", "kin.example", "news.author.example", "strasse.example", BOOKS)
    zones |= dict.fromkeys(others, good)
    with running_dns(zones | {"example": good}) as running:
        yield running


def outcome(mail: bytes, author: str, resolver: Resolver) -> Signed:
    return asyncio.run(check(mail, author, resolver))


@pytest.mark.nsd
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_the_table(
    row: Row, server: NameServer, keys: dict[str, KeyPair], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mail = signed(row.mail, row.signs, keys)
    assert row.change[0] in mail
    mail = mail.replace(*row.change, 1) if row.change[0] else mail
    found = outcome(mail, row.author, Resolver([server.address]))
    assert (found.outcome, row.why in found.detail) == (row.outcome, True), found
    assert all(" " <= letter <= "~" for letter in found.domain + found.detail)
    assert [line for line in caplog.records if line.name != "asyncio"] == []


@pytest.mark.nsd
@pytest.mark.parametrize("d", [BOOKS, READ])
@pytest.mark.parametrize("written", [READ, READ.upper(), "bücher。example", BOOKS])
def test_an_author_in_letters(
    d: str, written: str, server: NameServer, keys: dict[str, KeyPair]
) -> None:
    mail = signed(MAIL.replace(b"author.example", written.encode(), 1), (sign(d=d),), keys)
    mailbox = author(mail)
    assert mailbox == f"anna@{BOOKS}"
    found = outcome(mail, mailbox.partition("@")[2], Resolver([server.address]))
    assert found == Signed(PASS, BOOKS, "the signature is good")


# RFC 8463 appendix A: the example's keys, and its mail with both signatures.
EXAMPLE = Path(__file__).with_name("rfc8463.eml").read_bytes().replace(b"\n", b"\r\n")
EXAMPLE_KEYS = {
    "brisbane": "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    "test": "k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5q"
    "hdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hst"
    "T5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
}


@pytest.mark.nsd
@pytest.mark.parametrize("selector", EXAMPLE_KEYS)
def test_the_example_of_rfc_8463(selector: str) -> None:
    """Each signature with no key for the other one in DNS."""
    record = f"{selector}._domainkey TXT " + txt(f"v=DKIM1; {EXAMPLE_KEYS[selector]}")
    domain = "football.example.com"
    with running_dns({domain: record}) as server:
        resolver = Resolver([server.address])
        assert outcome(EXAMPLE, domain, resolver) == Signed(PASS, domain, "the signature is good")
        changed = EXAMPLE.replace(b"hungry", b"thirsty")
        assert outcome(changed, domain, resolver).outcome is FAIL


def test_no_answer_from_dns(keys: dict[str, KeyPair]) -> None:
    mail = signed(MAIL, (sign(), sign(s="other")), keys)
    with silent_dns() as silent:
        found = outcome(mail, "author.example", Resolver([silent.address], deadline=0.2))
    assert found == Signed(UNKNOWN, "author.example", "DNS did not answer in time")


def test_foreign_keys_are_not_asked_for(keys: dict[str, KeyPair]) -> None:
    with silent_dns() as silent:
        resolver = Resolver([silent.address], deadline=0.2)
        assert outcome(signed(MAIL, (FOREIGN,), keys), "author.example", resolver).outcome is NONE
        assert silent.questions() == []

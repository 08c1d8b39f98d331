"""What a mail's DKIM signatures come to: the table of outcomes, with keys from a real name server.

Nothing here may raise, and nothing of a mail may get into a log or into an answer.
"""

from __future__ import annotations

import asyncio
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from harness.dns import BROKEN, NameServer, running_dns, silent_dns, txt
from trust.signing import MAIL, KeyPair, Sign, key_pair, public_key, sign, signed

from milter.trust.dkim import Signed, check
from milter.trust.dns import Resolver
from milter.trust.outcome import Dkim

PASS, FAIL, UNKNOWN, NONE = Dkim.PASS, Dkim.FAIL, Dkim.UNKNOWN, Dkim.NONE


@dataclass(frozen=True)
class Row:
    """A mail, signed, then changed; what it comes to for its author's domain, and why."""

    what: str
    outcome: Dkim
    why: str
    signs: tuple[Sign, ...] = (sign(),)
    change: tuple[bytes, bytes] = (b"", b"")
    author: str = "author.example"
    mail: bytes = MAIL


GOOD = "signature is good"
WRONG = sign(bh="AAAA")
FOREIGN = sign(d="foreign.example")
UPPER = (b"From: Anna", b"X-New: 1\r\nFrom: Anna")

THE_TABLE = (
    Row("good", PASS, GOOD),
    Row("body changed", FAIL, "body", change=(b"1,200", b"9,200")),
    Row("subject changed", FAIL, "header", change=(b"Your", b"My")),
    Row("author changed", FAIL, "header", change=(b"<anna@", b"<bert@")),
    Row("revoked key", FAIL, "revoked", (sign(s="revoked"),)),
    Row("expired", FAIL, "expired", (sign(t="now-9000", x="now-3600"),)),
    Row("two From", FAIL, "one From", change=(b"From:", b"From: b@example.net\r\nFrom:")),
    Row("two From, one with a blank", FAIL, "one From", change=(b"To:", b"From : b@a.test\r\nTo:")),
    Row("two From, both signed", FAIL, "one From", mail=b"From: b@example.net\r\n" + MAIL),
    Row("l= of the whole body", FAIL, "l=", (sign(l="54"),)),
    Row("l= of nothing", FAIL, "l=", (sign(l="0"),), change=(b"1,200", b"9,200")),
    Row("rsa-sha1", FAIL, "sha1", (sign(a="rsa-sha1"),)),
    Row("six, the sixth good", FAIL, "body", (*[WRONG] * 5, sign())),
    Row("six, five foreign, the sixth good", NONE, "no signature", (*[FOREIGN] * 5, sign())),
    Row("six, the first good", PASS, GOOD, (sign(), *[WRONG] * 5)),
    Row("six, the fifth good", PASS, GOOD, (*[WRONG] * 4, sign(), WRONG)),
    Row("key missing", FAIL, "no key", (sign(s="missing"),)),
    Row("key of 1000 bits", FAIL, "1000 bits", (sign("small", s="small"),)),
    Row("key of 512 bits", FAIL, "512 bits", (sign("tiny", s="tiny"),)),
    Row("key for tests", NONE, "tests", (sign(s="testing"),)),
    Row("key for tests, mail changed", NONE, "tests", (sign(s="testing"),), (b"1,200", b"9,200")),
    Row("SERVFAIL", UNKNOWN, "DNS failed", (sign(d="broken.example"),), author="broken.example"),
    Row("REFUSED", UNKNOWN, "DNS failed", (sign(d="nobody.test"),), author="nobody.test"),
    Row("not signed", NONE, "not signed", ()),
    Row("not aligned", NONE, "no signature", (FOREIGN,)),
    Row("not aligned, and a bad one", FAIL, "body", (FOREIGN, WRONG)),
    Row("not aligned, and a good one", PASS, GOOD, (FOREIGN, sign())),
)

FORMS = (
    Row("simple/simple", PASS, GOOD, (sign(c="simple/simple"),)),
    Row("simple/relaxed", PASS, GOOD, (sign(c="simple/relaxed"),)),
    Row("relaxed", PASS, GOOD, (sign(c="relaxed"),)),
    Row("no c=", PASS, GOOD, (sign(c=None),)),
    Row("simple, blanks changed", FAIL, "body", (sign(c=None),), (b"for  1", b"for 1")),
    Row("relaxed, blanks changed", PASS, GOOD, change=(b"for  1", b"for 1")),
    Row("empty lines behind", PASS, GOOD, change=(b"regards\r\n", b"regards\r\n\r\n\r\n")),
    Row("no body", PASS, GOOD, mail=MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
    Row("no body, simple", PASS, GOOD, (sign(c=None),), mail=MAIL.split(b"The")[0]),
    Row("a field that is not signed", PASS, GOOD, change=UPPER),
    Row("a subject added below", FAIL, "header", change=(b"\r\n\r\n", b"\r\nSubject: X\r\n\r\n")),
    Row("From signed twice", PASS, GOOD, (sign(h="from:from:subject"),)),
    Row("a server's From line", PASS, GOOD, change=(b"DKIM-S", b"From a Mon Nov 23\r\nDKIM-S")),
    Row("capitals in d= and s=", PASS, GOOD, (sign(d="Author.EXAMPLE", s="GOOD"),)),
    Row("capitals in the author", PASS, GOOD, author="AUTHOR.Example"),
    Row("i= of the domain", PASS, GOOD, (sign(i="@author.example"),)),
    Row("i= below the domain", PASS, GOOD, (sign(i="anna@news.author.example"),)),
    Row("t= a minute ahead", PASS, GOOD, (sign(t="now+60"),)),
    Row("no t=", PASS, GOOD, (sign(t=None),)),
    Row("not yet expired", PASS, GOOD, (sign(x="now+60"),)),
)

ALIGNMENT = (
    Row("author below d=", PASS, GOOD, author="news.author.example"),
    Row("author above d=", NONE, "no signature", (sign(d="news.author.example"),)),
    Row(
        "author beside d=", NONE, "no", (sign(d="news.author.example"),), author="a.author.example"
    ),
    Row("author ends in d=", NONE, "no signature", author="notauthor.example"),
    Row("top-level domain", NONE, "no signature", (sign(d="example"),)),
    Row("no author", NONE, "no signature", author=""),
    Row("author with an address literal", NONE, "no signature", author="[192.0.2.1]"),
    Row(
        "Kelvin sign for k",
        NONE,
        "no signature",
        (sign(d="kin.example"),),
        author="\u212ain.example",
    ),
    Row("k for k", PASS, GOOD, (sign(d="kin.example"),), author="kin.example"),
)

WRONG_TAGS = (
    Row("v=2", FAIL, "v=", (sign(v="2"),)),
    Row("no v=", FAIL, "v=", (sign(v=None),)),
    Row("unknown a=", FAIL, "a=", (sign(a="rsa-sha512"),)),
    Row("unknown c=", FAIL, "c=", (sign(c="relaxed/nowsp"),)),
    Row("c= of three", FAIL, "c=", (sign(c="relaxed/relaxed/simple"),)),
    Row("unknown q=", FAIL, "q=", (sign(q="dns/other"),)),
    Row("q=dns/txt", PASS, GOOD, (sign(q="dns/txt"),)),
    Row("From not signed", FAIL, "From is not", (sign(h="to:subject"),)),
    Row("empty h=", FAIL, "From is not", (sign(h=""),)),
    Row("endless h=", FAIL, "h=", (sign(h="from" + ":x" * 200),)),
    Row("bh= is no base64", FAIL, "bh=", (sign(bh="!"),)),
    Row("b= is no base64", FAIL, "b=", change=(b" b=", b" b=!")),
    Row("t= in the future", FAIL, "future", (sign(t="now+86400"),)),
    Row("t= is no number", FAIL, "no time", (sign(t="yesterday"),)),
    Row("t= of 5000 digits", FAIL, "no time", (sign(t="9" * 5000),)),
    Row("x= before t=", FAIL, "before it was made", (sign(t="now-10", x="now-60"),)),
    Row("i= of somebody else", FAIL, "i=", (sign(i="@foreign.example"),)),
    Row("i= only ends like d=", FAIL, "i=", (sign(i="@notauthor.example"),)),
    Row("i= without @", FAIL, "i=", (sign(i="author.example"),)),
    Row("a tag twice", NONE, "no signature", change=(b"v=1;", b"v=1; v=1;")),
    Row("no tags at all", NONE, "no signature", change=(b"v=1;", b"v;")),
    Row("no d=", NONE, "no signature", (sign(d=None),)),
    Row("no s=", NONE, "no signature", (sign(s=None),)),
    Row("thousands of blanks", NONE, "no signature", change=(b" bh=", b" " * 5000 + b"bh=")),
    Row("endless", NONE, "no signature", (sign(z="x" * 9000),)),
    Row("ed25519", UNKNOWN, "ed25519", (sign(a="ed25519-sha256"),)),
    Row("ed25519, and a bad one", UNKNOWN, "ed25519", (WRONG, sign(a="ed25519-sha256"))),
    Row("ed25519, and a good one", PASS, GOOD, (sign(a="ed25519-sha256"), sign())),
)

WRONG_KEYS = (
    Row("v=DKIM2", FAIL, "no readable key", (sign(s="version"),)),
    Row("another record", FAIL, "no readable key", (sign(s="spf"),)),
    Row("two keys", FAIL, "several keys", (sign(s="twice"),)),
    Row("a key and another record", PASS, GOOD, (sign(s="both"),)),
    Row("key of another type", FAIL, "type", (sign(s="ed"),)),
    Row("key for sha1", FAIL, "sha256", (sign(s="sha1"),)),
    Row("key for both hashes", PASS, GOOD, (sign(s="hashes"),)),
    Row("key for another service", FAIL, "mail", (sign(s="tlsrpt"),)),
    Row("key for mail too", PASS, GOOD, (sign(s="services"),)),
    Row("key asks for i= like d=", PASS, GOOD, (sign(s="strict"),)),
    Row(
        "key asks for i= like d=, it is below",
        FAIL,
        "i=",
        (sign(s="strict", i="@a.author.example"),),
    ),
    Row("no base64", FAIL, "damaged", (sign(s="garbled"),)),
    Row("cut off", FAIL, "damaged", (sign(s="cut"),)),
    Row("parameters where none may be", FAIL, "damaged", (sign(s="null"),)),
    Row("another key", FAIL, "header", (sign(s="other"),)),
    Row("8192 bits", FAIL, "more than 4096", (sign(s="wide"),)),
    Row("even modulus", FAIL, "no RSA key", (sign(s="even"),)),
    Row("exponent 1", FAIL, "no RSA key", (sign(s="one"),)),
    Row("exponent as wide as the key", FAIL, "no RSA key", (sign(s="slow"),)),
    Row("key without v= and k=", PASS, GOOD, (sign(s="bare"),)),
    Row("key in small strings, with blanks", PASS, GOOD, (sign(s="strings"),)),
    Row("key behind an alias", PASS, GOOD, (sign(s="alias"),)),
    Row("no TXT there", FAIL, "no key", (sign(s="address"),)),
)

#: Labels that would ask for something else in DNS, or stand in a log as something else.
LABELS = (
    "x\x00",
    "/../x",
    "a\\",
    "a\\000",
    'a"',
    "<b>",
    "\x1b[31m",
    "x y",
    "x\ty",
    "x\r\n y",
    "\u00fc",
    "\u212a",
    "*",
    "@",
    ".",
    "-",
    "",
    "x=x",
    "a" * 64,
    "a." * 200 + "a",
    "%(asctime)s",
    "{0}",
)
LITTLE = (
    *(Row(f"{x!a} in d=", NONE, "no signature", (sign(d=f"{x}.author.example"),)) for x in LABELS),
    *(Row(f"{x!a} in s=", NONE, "no signature", (sign(s=x),)) for x in LABELS),
    Row("dot behind d=", NONE, "no signature", (sign(d="author.example."),)),
    Row("s= of many labels", FAIL, "no key", (sign(s="a.b.c.d"),)),
)

HEADERS = (
    Row("a line that is no field", FAIL, "no field", change=(b"To:", b"nothing\r\nTo:")),
    Row("a From line in between", FAIL, "no field", change=(b"To:", b"From a Mon\r\nTo:")),
    Row("a blank before the colon", FAIL, "header", change=(b"To:", b"To :")),
    Row("a folded line on top", FAIL, "no field", change=(b"DKIM-S", b" x\r\nDKIM-S")),
    Row("no From", FAIL, "one From", change=(b"From:", b"Form:")),
    Row("the header only", FAIL, "body", change=(MAIL[MAIL.index(b"\r\n\r\n") + 2 :], b"")),
    Row(
        "a very long header",
        UNKNOWN,
        "too long",
        change=(b"To:", b"X: " + b"x" * 140000 + b"\r\nTo:"),
    ),
    Row("very many fields", UNKNOWN, "too many", change=(b"To:", b"X:\r\n" * 1000 + b"To:")),
)

ROWS = (*THE_TABLE, *FORMS, *ALIGNMENT, *WRONG_TAGS, *WRONG_KEYS, *LITTLE, *HEADERS)


@pytest.fixture(scope="module")
def keys() -> dict[str, KeyPair]:
    return {name: key_pair(bits) for name, bits in (("good", 1024), ("small", 1000), ("tiny", 512))}


def with_parameters(key: str) -> str:
    """The key with an octet more behind the identifier of RSA, where RFC 8017 A.1 has NULL."""
    return b64encode(b64decode(key).replace(b"\x05\x00", b"\x05\x01", 1)).decode()


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
        "ed": [f"v=DKIM1; k=ed25519; p={good}"],
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
        "strings": [f"v=DKIM1; p={good[:40]} {good[40:]};"],
    }
    lines = [f"{name}._domainkey TXT {txt(text)}" for name, all_ in texts.items() for text in all_]
    lines += ["alias._domainkey CNAME good._domainkey", "address._domainkey A 192.0.2.1"]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def server(keys: dict[str, KeyPair]) -> Iterator[NameServer]:
    good = "good._domainkey TXT " + txt(f"v=DKIM1; p={keys['good'].public}")
    zones = {"author.example": records(keys), "broken.example": BROKEN}
    zones |= dict.fromkeys(("foreign.example", "kin.example", "news.author.example"), good)
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

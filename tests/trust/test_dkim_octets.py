"""Any octets in a signature, a key or a mail: nothing is raised, nothing passes, nothing hangs."""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from trust.signing import MAIL, KeyPair, key_pair, public_key, sign, signed

from milter.trust.dkim import Signed, check
from milter.trust.dns import Resolver
from milter.trust.outcome import Dkim

FIELD = re.compile(rb"\ADKIM-Signature: (?P<value>.*?)\r\n(?=From:)", re.DOTALL)
# Processor seconds that the worst mail may need: it needs a tenth of one, dkimpy alone minutes.
HANG = 10.0


class Answering(Resolver):
    """DNS that has one record for all names: any octets, which no zone file would take."""

    def __init__(self, record: bytes) -> None:
        self.record = record

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return (self.record,)


@cache
def keys() -> dict[str, KeyPair]:
    return {"good": key_pair(1024)}


@cache
def good_mail() -> bytes:
    return signed(MAIL, (sign(),), keys())


def good_record() -> bytes:
    return b"v=DKIM1; k=rsa; p=" + keys()["good"].public.encode()


def outcome(mail: bytes, record: bytes | None = None) -> Signed:
    dns = Answering(good_record() if record is None else record)
    found = asyncio.run(check(mail, "author.example", dns))
    assert all(" " <= letter <= "~" for letter in found.domain + found.detail)
    return found


def tags() -> dict[bytes, bytes]:
    """The good mail's tags, unfolded."""
    found = FIELD.match(good_mail())
    assert found
    unfolded = found["value"].replace(b"\r\n ", b"")
    return dict(tag.strip().split(b"=", 1) for tag in unfolded.split(b";"))


def with_tags(changed: dict[bytes, bytes]) -> bytes:
    value = b"; ".join(tag + b"=" + text for tag, text in changed.items())
    return FIELD.sub(lambda _: b"DKIM-Signature: " + value + b"\r\n", good_mail())


def test_the_good_mail_is_good() -> None:
    """What the tests below change passes as it is, also with its tags written anew."""
    assert outcome(good_mail()).outcome is Dkim.PASS
    assert set(tags()) == {b"v", b"a", b"c", b"d", b"s", b"t", b"h", b"bh", b"b"}


@given(st.binary())
def test_any_field(value: bytes) -> None:
    mail = FIELD.sub(lambda _: b"DKIM-Signature: " + value + b"\r\n", good_mail())
    assert outcome(mail).outcome is not Dkim.PASS


@given(st.sampled_from([b"v", b"a", b"c", b"d", b"s", b"t", b"h", b"bh", b"b"]), st.data())
def test_any_value_of_a_tag(tag: bytes, data: st.DataObject) -> None:
    usual = tags()
    likely = st.text("0123456789abcdef.:;=/@ -\r\n\t").map(str.encode)
    value = data.draw(st.binary() | likely)
    assume(value.split() != usual[tag].split())
    assert outcome(with_tags(usual | {tag: value})).outcome is not Dkim.PASS


@given(st.sampled_from([b"i", b"l", b"q", b"x", b"z", b"y"]), st.binary())
def test_any_tag_more(tag: bytes, value: bytes) -> None:
    assert outcome(with_tags({tag: value} | tags())).outcome is not Dkim.PASS


@given(st.binary())
def test_any_key(record: bytes) -> None:
    assert outcome(good_mail(), record).outcome is not Dkim.PASS


@given(st.binary(min_size=64, max_size=64), st.binary(min_size=32, max_size=32))
def test_any_key_and_signature_of_ed25519(signature: bytes, key: bytes) -> None:
    """Of the right lengths, so that PyNaCl gets to see them."""
    mail = with_tags(tags() | {b"a": b"ed25519-sha256", b"b": b64encode(signature)})
    found = outcome(mail, b"k=ed25519; p=" + b64encode(key))
    assert (found.outcome, "header" in found.detail) == (Dkim.FAIL, True)


@given(st.binary(max_size=300), st.integers(0, 160), st.integers(0, 160))
def test_a_changed_key(octets: bytes, start: int, end: int) -> None:
    """A part of the key replaced: nothing passes unless the key comes out as it was."""
    key = keys()["good"].public.encode()
    changed = key[:start] + octets + key[start + end :]
    assume(b"".join(changed.split()) != key)
    record = b"p=" + changed
    assume(b"p=" + key not in record.replace(b" ", b""))
    assert outcome(good_mail(), record).outcome is not Dkim.PASS


@given(st.binary(), st.integers(0, 700))
def test_any_octets_in_the_header(octets: bytes, at: int) -> None:
    """Put in anywhere: what still passes has the author's one From field as it was."""
    mail = good_mail()[:at] + octets + good_mail()[at:]
    if outcome(mail).outcome is Dkim.PASS:
        assert len(re.findall(rb"(?im)^from[ \t]*:", mail.partition(b"\r\n\r\n")[0])) == 1


@given(st.binary())
def test_any_mail(mail: bytes) -> None:
    assert outcome(mail).outcome is not Dkim.PASS
    assert outcome(b"DKIM-Signature: d=author.example; s=x\r\n" + mail).outcome is not Dkim.PASS


def names() -> str:
    return "from:" + ":".join(f"x{number}" for number in range(120))


def blanks(kind: bytes) -> bytes:
    return MAIL + kind * 500_000 + b"x\r\n"


#: Mails and keys made to take for ever: each gets as far as to what it comes to.
KILLERS = {
    "a long run of blanks in the body": ("body", blanks(b" "), {}, None),
    "folded blanks in the body": ("body", blanks(b" \r\n"), {}, None),
    "only line ends in the body": ("is good", MAIL + b"\r\n" * 2_000_000, {}, None),
    "many names in h= for many fields": ("is good", b"a:\r\n" * 900 + MAIL, {"h": names()}, None),
    "one field of many lines": ("is good", b"a:\r\n" + b" \r\n" * 40_000 + MAIL, {}, None),
    "blanks that b= might begin with": ("is good", MAIL, {"z": f"b{' ' * 60}" * 100}, None),
    "blanks in b=": ("no signature", MAIL, {"z": f"b{' ' * 6000}"}, None),
    "a key of 32768 bits": ("no readable key", MAIL, {}, public_key(2**32767 + 1, 65537)),
    "an exponent of 4096 bits": ("no RSA key", MAIL, {}, public_key(2**4095 + 1, 2**4095 - 1)),
}


@pytest.mark.parametrize("what", KILLERS)
def test_nothing_hangs(what: str) -> None:
    why, mail, tags, key = KILLERS[what]
    made = signed(MAIL, (sign(**tags),), keys()).removesuffix(MAIL) + mail
    start = time.process_time()
    found = outcome(made, f"p={key}".encode() if key else None)
    assert time.process_time() - start < HANG
    assert why in found.detail

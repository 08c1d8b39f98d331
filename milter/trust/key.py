"""A domain's key as it is published in DNS (RFC 6376 section 3.6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dkim.crypto import UnparsableKeyError, parse_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from milter.trust.signature import ED25519, RSA, Tags, octets_of

#: Bits of an RSA key: fewer are soon broken, more need not be supported (RFC 8301 section 3.2).
MIN_BITS = 1024
MAX_BITS = 4096

# Octets of a record, and bits of the exponent, which is 65537 but for odd keys. Both are the
# sender's to choose, and dkimpy's arithmetic lets nothing else run until it is done.
_MAX_OCTETS = 4096
_MAX_EXPONENT_BITS = 64
# Of an Ed25519 key (RFC 8032 section 5.1.5).
_OCTETS_OF_ED25519 = 32


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may be used: ``record`` has nothing but its kind and the key itself."""

    kind: bytes
    record: bytes
    testing: bool  # t=y: signatures are to count as none
    strict: bool  # t=s: i= must name the domain itself


def read_key(records: Sequence[bytes]) -> Key:
    """The key among the TXT records of one name; raises ``ValueError`` in words if there is none.

    Several are no key: which of them came first is chance (RFC 6376 section 3.6.2.2).
    """
    keys = [tags for tags in map(_tags, records) if tags is not None]
    if len(keys) != 1:
        raise ValueError("there are several keys" if keys else "there is no readable key")
    (tags,) = keys
    fault = _fault(tags)
    if fault:
        raise ValueError(fault)
    flags = _listed(tags, b"t", b"")
    kind = tags.get(b"k", RSA)
    record = b"v=DKIM1; k=" + kind + b"; p=" + b"".join(tags[b"p"].split())
    return Key(kind, record, testing=b"y" in flags, strict=b"s" in flags)


def _tags(record: bytes) -> Tags | None:
    """The tags of a record; None where it is no key but some other TXT record."""
    if len(record) > _MAX_OCTETS:
        return None
    try:
        tags: Tags = parse_tag_value(record)
    except InvalidTagValueList:
        return None
    return tags if b"p" in tags and tags.get(b"v", b"DKIM1") == b"DKIM1" else None


def _fault(tags: Tags) -> str:
    if not tags[b"p"]:
        return "the key is revoked"
    if tags.get(b"k", RSA) not in (RSA, ED25519):
        return "the key is of another type"
    if b"sha256" not in _listed(tags, b"h", b"sha256"):
        return "the key is not for sha256"
    if not {b"*", b"email"} & _listed(tags, b"s", b"*"):
        return "the key is not for mail"
    octets = octets_of(tags[b"p"])
    if tags.get(b"k", RSA) == RSA:
        return _fault_of_rsa(octets)
    return "" if len(octets) == _OCTETS_OF_ED25519 else "the key is damaged"


def _listed(tags: Tags, tag: bytes, default: bytes) -> set[bytes]:
    return {item.strip() for item in tags.get(tag, default).split(b":")}


def _fault_of_rsa(octets: bytes) -> str:
    try:
        key = parse_public_key(octets)
    except (UnparsableKeyError, AssertionError):  # it asserts what the octets may say
        return "the key is damaged"
    bits, exponent = key["modulus"].bit_length(), key["publicExponent"]
    if bits < MIN_BITS:
        return f"the key has {bits} bits, fewer than {MIN_BITS}"
    if bits > MAX_BITS:
        return f"the key has more than {MAX_BITS} bits"
    odd = key["modulus"] & exponent & 1
    if not odd or exponent < 3 or exponent.bit_length() > _MAX_EXPONENT_BITS:
        return "the key is no RSA key"
    return ""

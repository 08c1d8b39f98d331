"""One DKIM-Signature field: what it says, and whether that keeps the rules.

The rules are those of RFC 6376 section 6.1.1 and RFC 8301, and stricter where a signature would
vouch for less than the mail that one sees.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dkim.util import InvalidTagValueList, parse_tag_value

from milter.mail.author import ascii_domain

#: How far clocks may be apart, in seconds (as OpenDKIM's ClockDrift).
CLOCK_DRIFT = 300
#: Kinds of keys, as in k=.
RSA = b"rsa"
ED25519 = b"ed25519"
# What a= may be, and the kind of key that each is made with (RFC 8301, RFC 8463).
_KINDS = {b"rsa-sha256": RSA, b"ed25519-sha256": ED25519}
# Octets of what Ed25519 makes (RFC 8032 section 5.1.6).
_OCTETS_OF_ED25519 = 64

# Octets of a field, blanks in a row, and names in h=: dkimpy's expressions need time that grows
# with the square of the blanks, and it looks through the whole header for each name. A signature
# of 4096 bits over all fields that one knows has 2000 octets and 60 names.
_MAX_OCTETS = 8192
_TOO_BLANK = re.compile(rb"\s{65}")
_MAX_NAMES = 128

# d= and s= as they may stand in a question to DNS and in a log: letters, digits, hyphens and
# underscores. U-labels are turned into A-labels before (RFC 8616 section 5).
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_TIME = re.compile(rb"[0-9]{1,12}")
_FORMS = (b"simple", b"relaxed")

Tags = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Signature:
    """A readable signature of ``domain``; ``number`` counts the fields from the top, from 0."""

    number: int
    domain: str
    selector: str
    tags: Tags

    @property
    def key_name(self) -> str:
        """Where its key is in DNS (RFC 6376 section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def kind(self) -> bytes:
        """Which kind of key it is made with; empty where a= is not known."""
        return _kind(self.tags)

    @property
    def relaxed_body(self) -> bool:
        """Whether the body is hashed in relaxed form."""
        return _forms(self.tags)[1] == b"relaxed"

    @property
    def body_hash(self) -> bytes:
        """The hash of the body; empty where there is none to be read."""
        return octets_of(self.tags.get(b"bh", b""))

    @property
    def names_the_domain(self) -> bool:
        """Whether i= names the very domain, none below it (what a key with t=s asks for)."""
        return _identity(self.tags) == self.domain

    def fault(self, now: float) -> str:
        """The first rule that it breaks at ``now`` (Unix time), in words; empty: it keeps all."""
        broken = (words for words, breaks in _RULES if breaks(self.tags))
        return next(broken, "") or self._fault_of_identity() or self._fault_of_time(now)

    def _fault_of_identity(self) -> str:
        inside = f".{_identity(self.tags)}".endswith(f".{self.domain}")
        return "" if inside else "i= is not within d="

    def _fault_of_time(self, now: float) -> str:
        made, ends = (self.tags.get(tag) for tag in (b"t", b"x"))
        if not all(_TIME.fullmatch(time) for time in (made, ends) if time is not None):
            return "t= or x= is no time"
        if made is not None and int(made) > now + CLOCK_DRIFT:
            return "the signature is from the future"
        if ends is not None and int(ends) < now - CLOCK_DRIFT:
            return "the signature has expired"
        if made is not None and ends is not None and int(ends) < int(made):
            return "the signature expired before it was made"
        return ""


def is_domain(text: str) -> bool:
    """Whether ``text`` is a domain of two labels or more that can stand in DNS, in small letters.

    One label is a top-level domain, which nobody writes mail from.
    """
    return len(text) <= 253 and _DOMAIN.fullmatch(text) is not None


def read_signature(number: int, value: bytes) -> Signature | None:
    """Field ``number`` with its unfolded ``value``; None where nobody can tell whose it is."""
    if len(value) > _MAX_OCTETS or _TOO_BLANK.search(value):
        return None
    try:
        tags = parse_tag_value(value)
    except InvalidTagValueList:
        return None
    domain, selector = (_ascii(tags.get(tag, b"")) for tag in (b"d", b"s"))
    known = is_domain(domain) and _SELECTOR.fullmatch(selector)
    return Signature(number, domain, selector, tags) if known else None


def octets_of(text: bytes) -> bytes:
    """What base64 stands for, blanks in it allowed (RFC 6376 section 2.10); empty: not base64."""
    try:
        return base64.b64decode(b"".join(text.split()), validate=True)
    except binascii.Error:
        return b""


def _names(tags: Tags) -> list[bytes]:
    return [name.strip().lower() for name in tags.get(b"h", b"").split(b":")]


def _forms(tags: Tags) -> tuple[bytes, bytes]:
    header, _, body = tags.get(b"c", b"simple").partition(b"/")
    return header, body or b"simple"


def _kind(tags: Tags) -> bytes:
    return _KINDS.get(tags.get(b"a", b""), b"")


def _identity(tags: Tags) -> str:
    """The domain of i=, which is that of d= where there is none; empty: it has no domain."""
    identity = tags.get(b"i", b"@" + tags[b"d"])
    return _ascii(identity.rpartition(b"@")[2]) if b"@" in identity else ""


def _ascii(domain: bytes) -> str:
    """A domain or a part of one in small letters, U-labels as A-labels (empty: they are none)."""
    text = domain.decode("utf-8", "replace")
    return text.lower() if text.isascii() else ascii_domain(text)


def _is_cut(tags: Tags) -> bool:
    """Whether b= cannot be of Ed25519 though a= says so; RSA's has the length of its key."""
    return _kind(tags) == ED25519 and len(octets_of(tags[b"b"])) != _OCTETS_OF_ED25519


_RULES: tuple[tuple[str, Callable[[Tags], bool]], ...] = (
    ("v= is not 1", lambda tags: tags.get(b"v") != b"1"),
    # Text could be added below what was signed (RFC 6376 section 8.2).
    ("l= leaves a part of the body unsigned", lambda tags: b"l" in tags),
    ("rsa-sha1 proves nothing", lambda tags: tags.get(b"a") == b"rsa-sha1"),  # RFC 8301 section 3.1
    ("a= is not known", lambda tags: tags.get(b"a") not in _KINDS),
    ("c= is not known", lambda tags: not set(_forms(tags)) <= set(_FORMS)),
    ("q= is not known", lambda tags: tags.get(b"q", b"dns/txt") != b"dns/txt"),
    ("From is not signed", lambda tags: b"from" not in _names(tags)),
    ("h= is too long", lambda tags: len(_names(tags)) > _MAX_NAMES),
    ("b= is not base64", lambda tags: not octets_of(tags.get(b"b", b""))),
    ("b= has not the length of ed25519's", _is_cut),
    ("bh= is not base64", lambda tags: not octets_of(tags.get(b"bh", b""))),
)

"""Does a DKIM signature show that a mail is its author's? (RFC 6376)

In front of the queue nothing has checked that yet. A signature counts only if it is aligned: if it
is of the author's own domain or of one above it. That is stricter than DMARC, which also takes a
domain below, or beside, within the same organisation: one needs a list of public suffixes for that,
which ages. Who has the domain above decides what the one below has in DNS anyway.

``check`` raises nothing on account of the mail, and no octet of it gets into a log or into its
answer but for a domain's letters, digits and hyphens.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import dkim

from milter.mail import header
from milter.trust.body import body_hash
from milter.trust.dns import DnsFault, NoSuchName, Resolver
from milter.trust.key import MIN_BITS, Key, read_key
from milter.trust.outcome import Dkim
from milter.trust.signature import Signature, is_domain, read_signature

#: Signatures that are looked at, from the top: each costs a question to DNS. Mail that passed a
#: list and a forwarder has three.
MAX_SIGNATURES = 5

# Octets and fields of a header that is looked at: the time needed grows with both.
_MAX_HEADER = 131072
_MAX_FIELDS = 1000

_FIELD = re.compile(rb"^[^ \t]", re.MULTILINE)
_FROM = re.compile(rb"^From[ \t]*:", re.IGNORECASE | re.MULTILINE)
_SIGNATURE = re.compile(rb"^DKIM-Signature[ \t]*:", re.IGNORECASE | re.MULTILINE)

log = logging.getLogger(__name__)
# dkimpy's messages quote the mail: they go nowhere.
_SILENT = logging.Logger("dkimpy", logging.CRITICAL + 1)


# Which of several outcomes is the mail's.
_RANK = (Dkim.PASS, Dkim.UNKNOWN, Dkim.FAIL, Dkim.NONE)


@dataclass(frozen=True, slots=True)
class Signed:
    """The outcome, of which ``domain``'s signature (empty: of none), and why, for people."""

    outcome: Dkim
    domain: str
    detail: str


async def check(content: bytes, author_domain: str, resolver: Resolver) -> Signed:
    """Check the topmost signatures of ``content`` that are aligned with ``author_domain``.

    The domain is that of the mail's From field, in ASCII (A-labels); no signature is aligned with
    any other. Takes no longer than the resolver's deadline and the arithmetic, which runs in a
    thread.
    """
    mail = _Mail(content)
    verdict = mail.fault()
    if verdict:
        return verdict
    theirs = [found for found in mail.signatures() if aligned(found.domain, author_domain)]
    keys = await asyncio.gather(*(_key_of(signature, resolver) for signature in theirs))
    outcomes = await asyncio.to_thread(mail.outcomes, list(zip(theirs, keys, strict=True)))
    nothing = Signed(Dkim.NONE, "", "no signature of the author's domain")
    return min([*outcomes, nothing], key=lambda signed: _RANK.index(signed.outcome))


def aligned(domain: str, author_domain: str) -> bool:
    """Whether a signature of ``domain`` (small letters) can speak for ``author_domain``."""
    author = author_domain.lower() if author_domain.isascii() else ""
    return is_domain(author) and f".{author}".endswith(f".{domain}")


async def _key_of(signature: Signature, resolver: Resolver) -> Key | Signed:
    """The key of a signature, or what it comes to without one."""
    fault = signature.fault(time.time())
    if fault:
        return Signed(Dkim.FAIL, signature.domain, fault)
    try:
        records = await resolver.txt(signature.key_name)
    except NoSuchName:
        return Signed(Dkim.FAIL, signature.domain, "there is no key")
    except DnsFault as fault_of_dns:
        return Signed(Dkim.UNKNOWN, signature.domain, str(fault_of_dns))
    return _usable(signature, records)


def _usable(signature: Signature, records: Sequence[bytes]) -> Key | Signed:
    try:
        key = read_key(records)
    except ValueError as error:
        return Signed(Dkim.FAIL, signature.domain, str(error))
    if key.kind != signature.kind:  # dkimpy looks at the key alone
        return Signed(Dkim.FAIL, signature.domain, "the key is of another type than a= says")
    if key.testing:  # RFC 6376 3.6.1: not to be treated differently from unsigned mail
        return Signed(Dkim.NONE, signature.domain, "the key is for tests")
    if key.strict and not signature.names_the_domain:
        return Signed(Dkim.FAIL, signature.domain, "i= is not d=, which the key asks for")
    return key


class _Mail:
    """A mail with its header apart."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._end = header.end_of_header(content)
        self._hashes: dict[bool, bytes] = {}

    @cached_property
    def _head(self) -> bytes:
        return self._content[: self._end]

    def fault(self) -> Signed | None:
        """What the mail comes to whatever its signatures say; None: they decide."""
        if self._end > _MAX_HEADER:
            return Signed(Dkim.UNKNOWN, "", "the header is too long to be checked")
        if not _SIGNATURE.search(self._head):
            return Signed(Dkim.NONE, "", "not signed")
        if len(_FIELD.findall(self._head)) > _MAX_FIELDS:
            return Signed(Dkim.UNKNOWN, "", "the header has too many fields to be checked")
        # A line that is no field ends the header for some programs and not for others, and which
        # From a reader sees depends on that; of several, on the reader alone (RFC 5322 3.6).
        if header.body_range(self._content, 0, len(self._content))[0] != self._end:
            return Signed(Dkim.FAIL, "", "the header has a line that is no field")
        if len(_FROM.findall(self._head)) != 1:
            return Signed(Dkim.FAIL, "", "there is not one From field")
        return None

    def signatures(self) -> Iterator[Signature]:
        """The readable ones among the topmost."""
        values = [value for name, value in header.fields(self._head) if name == b"dkim-signature"]
        for number, value in enumerate(values[:MAX_SIGNATURES]):
            signature = read_signature(number, value)
            if signature:
                yield signature

    def outcomes(self, tries: Sequence[tuple[Signature, Key | Signed]]) -> list[Signed]:
        """What each signature comes to, up to the first that is good."""
        found: list[Signed] = []
        for signature, key in tries:
            found.append(self._outcome(signature, key) if isinstance(key, Key) else key)
            if found[-1].outcome is Dkim.PASS:
                break
        return found

    def _outcome(self, signature: Signature, key: Key) -> Signed:
        if not self._fits(signature.number, key):
            return Signed(Dkim.FAIL, signature.domain, "the header does not fit the signature")
        if self._body_hash(signature.relaxed_body) != signature.body_hash:
            return Signed(Dkim.FAIL, signature.domain, "the body does not fit the signature")
        return Signed(Dkim.PASS, signature.domain, "the signature is good")

    def _fits(self, number: int, key: Key) -> bool:
        """Whether dkimpy finds that header, signature and key fit."""
        try:
            return _verified(self._head, number, key)
        except dkim.DKIMException:
            return False
        except Exception as error:  # a stranger's octets find ways that nobody thought of
            log.warning("dkimpy raised %s: a signature counts as bad", type(error).__name__)
            return False

    def _body_hash(self, relaxed: bool) -> bytes:
        if relaxed not in self._hashes:
            start = min(self._end + 2, len(self._content))  # behind the empty line
            self._hashes[relaxed] = body_hash(self._content, start, relaxed)
        return self._hashes[relaxed]


def _verified(head: bytes, number: int, key: Key) -> bool:
    """What ``dkim.DKIM.verify`` does, but for the body, whose hash we compare ourselves."""
    verifier = dkim.DKIM(head, logger=_SILENT, minkey=MIN_BITS)
    tags, names, fields = verifier.verify_headerprep(number)
    without_body = {tag: value for tag, value in tags.items() if tag != b"bh"}
    good = verifier.verify_sig(without_body, names, fields[number], lambda *_, **__: key.record)
    return good is True

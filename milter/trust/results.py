"""Authentication-Results (RFC 8601) of Postfix's own milters, for a filter behind the queue.

Anybody can write such a field, with any authserv-id, so where it stands matters. Postfix 3.7 puts
what a milter inserts above its own Received field (index 0) or right below it (index 1, as OpenDKIM
and rspamd ask for); a sender's own fields follow. Only fields above the second Received are looked
at, and of those with the authserv-id only the first that speaks of DKIM.

A sender can also try to write into the field of an honest milter, by what it quotes: brackets,
quotes or semicolons in MAIL FROM, in d= or in i= (Chen, Paxson and Jiang 2020, "Composition
kills"). So only the plain form is read, from the front, up to the first thing that is not plain;
and only if each signature in the mail is plain itself, and one is of the domain that the field
names. All else says nothing here, and the signature is checked by ourselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from milter.mail import header
from milter.trust.dkim import aligned
from milter.trust.signature import Signature, is_domain, read_signature

_NAME = b"authentication-results"
_LONGEST = 8192  # octets of a field
_MOST_SIGNATURES = 20  # that are read; a mail has one to three

_HOST = re.compile(rb"([A-Za-z0-9._-]+)(?:[ \t]+1)?[ \t]*;")
_SPEAKS_OF_DKIM = re.compile(rb"\bdkim\b", re.IGNORECASE)
_VALUE = rb"[A-Za-z0-9@._+/=-]+"
_PROPERTY = re.compile(rb'header\.([a-z]+)="?(%b)' % _VALUE)
# As OpenDKIM and rspamd write it: result, comment, reason, properties.
_RESULT = re.compile(
    rb"""[ \t]*dkim=([a-z]+)
    (?:[ \t]+\([^()"\\\x00-\x08\x0a-\x1f\x7f-\xff]*\))?
    (?:[ \t]+reason="[A-Za-z0-9 ,:_-]*")?
    ((?:[ \t]+header\.[a-z]+=(?:"%b"|%b))*)[ \t]*(?:;|\Z)"""
    % (_VALUE, _VALUE),
    re.VERBOSE,
)
# Tags of a signature that are plain: nothing that could end a value in the field, nor "=", which
# begins an encoded octet in i=. The others are looked at when a signature is read.
_PLAIN = {
    b"i": re.compile(rb"[A-Za-z0-9._+-]*@[A-Za-z0-9._-]+"),
    b"a": re.compile(rb"[a-z0-9-]+"),
}


def passed(head: bytes, authserv_id: str, author_domain: str) -> bool:
    """Whether the host called ``authserv_id`` found a good signature aligned with the author's.

    ``head``: the mail from its beginning, with the whole header; only ever of a mail that came
    through the queue of that very host. Its milters must be asked for every mail (Postfix's
    ``milter_default_action`` as it is, or ``tempfail``).
    """
    end, _ = header.body_range(head, 0, len(head))
    fields = list(header.fields(head[:end]))
    signed = _signed_domains([value for name, value in fields if name == b"dkim-signature"])
    told = _first_of(_above_second_received(fields), authserv_id.encode("utf-8").lower())
    good = {domain for result, domain in _results(told) if result == b"pass"}
    return any(aligned(domain, author_domain) for domain in good & signed)


def _above_second_received(fields: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The Authentication-Results there; none without the Received field of our own Postfix."""
    places = [place for place, (name, _) in enumerate(fields) if name == b"received"]
    end = 0 if not places else places[1] if len(places) > 1 else len(fields)
    return [value for name, value in fields[:end] if name == _NAME]


def _signed_domains(signatures: Sequence[bytes]) -> set[str]:
    """Whose signatures there are; nobody's where one of them is not plain."""
    if len(signatures) > _MOST_SIGNATURES:
        return set()
    domains = set()
    for value in signatures:
        signature = read_signature(0, value)
        if not signature or not _is_plain(signature):
            return set()
        domains.add(signature.domain)
    return domains


def _is_plain(signature: Signature) -> bool:
    tags = signature.tags
    return all(form.fullmatch(tags[tag]) for tag, form in _PLAIN.items() if tag in tags)


def _first_of(values: Sequence[bytes], authserv_id: bytes) -> bytes:
    """What the first field with this authserv-id that speaks of DKIM says; empty: there is none."""
    for value in values:
        host = _HOST.match(value)
        if host and host[1].lower() == authserv_id and _SPEAKS_OF_DKIM.search(value, host.end()):
            return value[host.end() :] if len(value) <= _LONGEST else b""
    return b""


def _results(told: bytes) -> Iterator[tuple[bytes, str]]:
    """Result and domain of each signature, as long as all is plain."""
    at = 0
    while result := _RESULT.match(told, at):
        at = result.end()
        properties = _PROPERTY.findall(result[2])
        named = {name: value.decode().lower() for name, value in properties}
        domain = named.get(b"d", "")
        local, _, inside = named.get(b"i", f"@{domain}").rpartition("@")
        if len(named) < len(properties) or any("@" in v for n, v in named.items() if n != b"i"):
            return
        if not is_domain(domain) or not f".{inside}".endswith(f".{domain}"):
            return
        yield result[1], domain
        if local:  # words of the sender's: what follows could be too
            return

"""Whose sites a mail comes from and goes to, by its header; nothing of it is verified."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_DOMAIN = re.compile(rb"@((?:[a-z0-9-]{1,63}\.){1,8}[a-z0-9-]{2,63})")
# What stands before the @ of an address, as far as it is usual.
_LOCAL = re.compile(rb"[^\s<>@,;:()\"]{1,64}\Z")
_LONGEST_LOCAL = 64
# Names and comments, where anybody can write somebody's address: all but what angles hold, if any.
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"|\([^()]*+\)')
_ANGLED = re.compile(rb"<[^<>]*+>")
# Second labels below which anybody can register a name: example.co.uk, example.com.au.
_GENERIC = frozenset("ac co com edu gob gouv gov gv ltd me mil ne net nom or org plc sch".split())
# Shorter names of sites stand in other words too.
_SITE_NAME = 4
# Names of mail providers, whose domains say nothing of a site. Those of two have a meaning in a
# letter, too.
_PROVIDERS = frozenset(
    (
        "126 163 aol arcor bluewin btinternet chello comcast fastmail free freenet gmail gmx "
        "googlemail hispeed hotmail icloud interia kpn laposte libero live mac mailbox me msn "
        "naver o2 onet orange outlook pm poczta posteo proton protonmail qq rambler rocketmail "
        "sfr t-online telenet terra tiscali tuta tutanota verizon virgilio wanadoo web wp xs4all "
        "yahoo yandex ymail ziggo zoho"
    ).split()
)
_SHARED = _PROVIDERS | {"inbox", "mail"}
# Characters of an address field that are looked at, and senders that one mail can have.
_MOST, _MOST_SENDERS = 2000, 8

_SENDERS = (b"from", b"reply-to")
_RECIPIENTS = (b"to", b"delivered-to", b"x-original-to")


def site(domain: str) -> str:
    """The part of a domain that somebody registered: ``example.co.uk`` of ``a.b.example.co.uk``.

    By rule of thumb: the list of all such endings changes weekly, and an error here only counts
    two senders as one.
    """
    labels = domain.split(".")
    generic = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _GENERIC
    return ".".join(labels[-3 if generic else -2 :])


@dataclass(frozen=True, slots=True)
class Sites:
    """The sites of one mail.

    ``own`` and ``theirs``: the names of those that it comes from and goes to, ``gartenfreunde`` of
    ``www.gartenfreunde.de``, without mail providers. ``senders``: who has sent it, by site
    (``gartenfreunde.de``) or address at a provider. No site that it goes to is among these: forms
    on one's own site send in its name whatever a visitor writes.
    """

    own: tuple[str, ...]
    theirs: tuple[str, ...]
    senders: tuple[str, ...]


def read_sites(fields: Iterable[tuple[bytes, bytes]]) -> Sites:
    """Read the sites from header fields, whose names are in lower case."""
    senders, recipients = [], []
    for name, value in fields:
        if name in _SENDERS:
            senders.append(value[:_MOST].lower())
        elif name in _RECIPIENTS:
            recipients.append(value[:_MOST].lower())
    return Sites(_names(senders), _names(recipients), _senders(senders, recipients))


def _names(addresses: list[bytes]) -> tuple[str, ...]:
    found = {_name(site(domain)) for domain in _domains(addresses)}
    return tuple(sorted(name for name in found - _PROVIDERS if len(name) >= _SITE_NAME))


def _senders(addresses: list[bytes], recipients: list[bytes]) -> tuple[str, ...]:
    own = {site(domain) for domain in _domains(recipients)}
    found: set[str] = set()
    for bare in map(_bare, addresses):
        for match in _DOMAIN.finditer(bare):
            domain, at = match[1].decode("ascii"), match.start()
            if _name(site(domain)) in _SHARED:
                local = _LOCAL.search(bare, max(0, at - _LONGEST_LOCAL), at)
                found.add(f"{local[0].decode('ascii', 'replace') if local else ''}@{domain}")
            elif site(domain) not in own:
                found.add(site(domain))
    return tuple(sorted(found)[:_MOST_SENDERS])


def _domains(addresses: list[bytes]) -> list[str]:
    return [domain.decode("ascii") for domain in _DOMAIN.findall(b" ".join(addresses))]


def _bare(value: bytes) -> bytes:
    """An address field without names and comments."""
    if b'"' in value or b"(" in value:
        value = _QUOTED.sub(b" ", value)
    return b" ".join(_ANGLED.findall(value)) or value


def _name(registered: str) -> str:
    return registered.partition(".")[0]

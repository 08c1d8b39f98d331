"""Whose sites a mail comes from and goes to, by its header; nothing of it is verified."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from milter.mail import header
from milter.mail.author import only_mailbox
from milter.mail.mime import MAX_HEADER

_DOMAIN = re.compile(rb"@((?:[a-z0-9-]{1,63}\.){1,8}[a-z0-9-]{2,63})")
# Second labels below which anybody can register a name: example.co.uk, example.com.au.
_GENERIC = frozenset("ac co com edu gob gouv gov gv ltd me mil ne net nom or org plc sch".split())
# Shorter names of sites stand in other words too.
_SITE_NAME = 4
# Names of mail providers, whose domains say nothing of a site.
_PROVIDERS = frozenset(
    "aol freenet gmail gmx googlemail hotmail icloud live mailbox outlook posteo proton "
    "protonmail t-online web yahoo".split()
)
# More whose domains many people send from, though in a letter their names may mean something else.
_SHARED = _PROVIDERS | frozenset(
    (
        "126 163 a1 arcor att bellsouth bigpond blogspot bluewin btinternet chello comcast cox "
        "email fastmail formspree free github hispeed inbox interia jotform kpn laposte libero "
        "linkedin mac mail me msn myshopify naver o2 onet orange pm poczta qq rambler "
        "rocketmail seznam sfr substack telenet terra tiscali tuta tutanota ukr uk verizon "
        "virgilio vodafone wanadoo wixforms wp xs4all yandex ymail ziggo zoho"
    ).split()
)
# Characters of an address field that are looked at.
_MOST = 2000

_FROM, _REPLY_TO = b"from", b"reply-to"
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
    ``www.gartenfreunde.de``, without mail providers. ``sender``: who gets the answer, as a site
    (``gartenfreunde.de``) or an address at a provider; empty where that is not certain. A pitch
    wants an answer, and a form on somebody's site names its visitor there.
    """

    own: tuple[str, ...]
    theirs: tuple[str, ...]
    sender: str


def read_sites(fields: Iterable[tuple[bytes, bytes]]) -> Sites:
    """Read the sites from header fields, whose names are in lower case."""
    authors, answered, recipients = [], [], []
    for name, value in fields:
        if name == _FROM:
            authors.append(value)
        elif name == _REPLY_TO:
            answered.append(value)
        elif name in _RECIPIENTS:
            recipients.append(value)
    return Sites(_names(authors + answered), _names(recipients), _sender(answered or authors))


def sender_in(content: bytes) -> str:
    """The sender of a whole mail."""
    end, _ = header.body_range(content, 0, len(content))
    return read_sites(header.fields(content[: min(end, MAX_HEADER)])).sender


def _names(addresses: list[bytes]) -> tuple[str, ...]:
    values = b" ".join(value[:_MOST] for value in addresses).lower()
    found = {_name(site(domain.decode("ascii"))) for domain in _DOMAIN.findall(values)}
    return tuple(sorted(name for name in found - _PROVIDERS if len(name) >= _SITE_NAME))


def _sender(fields: list[bytes]) -> str:
    mailbox = only_mailbox(fields[0]) if len(fields) == 1 else None
    return sender_of(mailbox) if mailbox else ""


def sender_of(mailbox: str) -> str:
    """What somebody is told by: the site of their mailbox, or at a provider the mailbox itself.

    Tags, and dots where they do not count, are another spelling of the same mailbox.
    """
    local, _, domain = mailbox.rpartition("@")
    if domain.startswith("["):
        return ""
    if _name(site(domain)) not in _SHARED:
        return site(domain)
    local = local.partition("+")[0]
    if domain in ("gmail.com", "googlemail.com"):
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def _name(registered: str) -> str:
    return registered.partition(".")[0]

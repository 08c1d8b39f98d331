"""What a setting of the filter may be: a type each, with its check (``milter.settings_file``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import NewType

from milter.mail.author import ascii_domain
from milter.settings_file import Check, above_zero, text, texts
from milter.smtp.endpoint import Endpoint
from milter.trust.nameserver import parse_nameserver

Seconds = NewType("Seconds", float)
Octets = NewType("Octets", int)
Count = NewType("Count", int)
NextHopEndpoint = NewType("NextHopEndpoint", str)  # an endpoint, or empty
Arrangement = NewType("Arrangement", str)
StrayLineEnds = NewType("StrayLineEnds", str)
OptionalFile = NewType("OptionalFile", str)  # a file that is there, or empty
NextHopTlsMode = NewType("NextHopTlsMode", str)
LogLevel = NewType("LogLevel", str)
ModelsFolder = NewType("ModelsFolder", Path)
Share = NewType("Share", float)
Wish = NewType("Wish", str)
Wishes = NewType("Wishes", Mapping[str, str])  # by address or domain
Senders = NewType("Senders", tuple[str, ...])  # addresses and domains
Nameservers = NewType("Nameservers", tuple[str, ...])
PageUrl = NewType("PageUrl", str)  # where a browser finds the page, or empty
OptionalMailbox = NewType("OptionalMailbox", str)  # a mail address, or empty
OptionalEndpoint = NewType("OptionalEndpoint", str)  # an endpoint, or empty
Network = IPv4Network | IPv6Network

ARRANGEMENTS = ("before-queue", "after-queue")
STRAY_LINE_ENDS = ("blank", "reject")
NEXT_HOP_TLS = ("off", "required")
WISHES = ("tag", "tag-subject", "quarantine", "nothing")
#: Where a page is: what may stand in a link of a mail as it is.
URL = re.compile(r"https?://[!#-;=?-~]+")
#: An address that needs no quotes anywhere.
MAILBOX = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII
)
LOG_LEVELS = ("debug", "info", "warning", "error")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in choices:
            listed = " or ".join(f'"{choice}"' for choice in choices)
            raise ValueError(f"must be {listed}, not {value!r}")
        return str(value)

    return check


def _endpoint(value: object) -> Endpoint:
    return Endpoint.parse(text(value))


def _next_hop(value: object) -> str:
    if value != "":
        Endpoint.parse_next_hop(text(value))
    return text(value)


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of networks, not {value!r}")
    try:
        return tuple(ip_network(text(item)) for item in value)
    except ValueError as error:
        raise ValueError(f"must be a list of networks such as 127.0.0.0/8: {error}") from error


def _nameservers(value: object) -> tuple[str, ...]:
    servers = texts(value)
    for server in servers:
        parse_nameserver(server)
    return servers


def _senders(value: object) -> tuple[str, ...]:
    return tuple(_mailbox_or_domain(item) for item in texts(value))


def _mailbox_or_domain(name: str) -> str:
    """An address or a domain as it is compared: no blanks, no brackets, in small letters."""
    local, at, domain = name.strip().rpartition("@")
    labels = domain.removesuffix(".").split(".")
    plain = all(label and not label.startswith("*") for label in labels)
    if not plain or (at and not local) or set("<>, \t") & set(domain):
        raise ValueError(f"{name!r} is neither an address (a@example.org) nor a domain")
    return _small(local + at + domain.removesuffix("."))


def _small(name: str) -> str:
    """ASCII in small letters, as mailboxes are compared (``Address.mailbox``)."""
    return name.encode().lower().decode()


def _wishes(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f'must be a table {{ "a@example.org" = "tag" }}, not {value!r}')
    found: dict[str, str] = {}
    for name, wish in value.items():
        for known in _spellings(_mailbox_or_domain(name)):
            if found.setdefault(known, _wish_of(name, wish)) != wish:
                raise ValueError(f"{name!r} stands there twice, with two wishes")
    return found


def _spellings(name: str) -> set[str]:
    """A name as it is, and with its domain as mail servers write it (RFC 5890: A-labels)."""
    local, at, domain = name.rpartition("@")
    ascii_name = ascii_domain(domain)
    return {name, local + at + ascii_name} if ascii_name else {name}


def _wish_of(name: str, wish: object) -> str:
    try:
        return _one_of(WISHES)(wish)
    except ValueError as error:
        raise ValueError(f"{name!r} {error}") from error


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1:
        raise ValueError(f"must be a share between 0 and 1, not {value!r}")
    return float(value)


def _page_url(value: object) -> str:
    url = text(value)
    if url and not URL.fullmatch(url):
        raise ValueError(f"must begin with https:// or http:// and a host, not {url!r}")
    return url


def _optional_mailbox(value: object) -> str:
    mailbox = text(value)
    if mailbox and not MAILBOX.fullmatch(mailbox):
        raise ValueError(f"must be a mail address such as filter@example.org, not {mailbox!r}")
    return mailbox


def _optional_endpoint(value: object) -> str:
    return "" if value == "" else str(_endpoint(value))


def _path(value: object) -> Path:
    try:
        return Path(text(value)).expanduser()
    except RuntimeError as error:  # "~user" of whom nobody knows
        raise ValueError(str(error)) from error


def _file(value: object) -> str:
    if value == "":
        return ""
    path = _path(value)
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    return str(path)


def _existing_folder(value: object) -> Path:
    folder = _path(value)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}")
    return folder


#: By the type of a setting.
CHECKS: dict[object, Check] = {
    str: text,
    bool: _flag,
    Path: _path,
    tuple[Network, ...]: _networks,
    Endpoint: _endpoint,
    NextHopEndpoint: _next_hop,
    OptionalFile: _file,
    NextHopTlsMode: _one_of(NEXT_HOP_TLS),
    Seconds: above_zero((int, float), "a number of seconds"),
    Octets: above_zero((int,), "a whole number of octets"),
    Count: above_zero((int,), "a whole number"),
    Arrangement: _one_of(ARRANGEMENTS),
    StrayLineEnds: _one_of(STRAY_LINE_ENDS),
    LogLevel: _one_of(LOG_LEVELS),
    ModelsFolder: _existing_folder,
    Share: _share,
    Wish: _one_of(WISHES),
    Wishes: _wishes,
    Senders: _senders,
    Nameservers: _nameservers,
    OptionalEndpoint: _optional_endpoint,
    OptionalMailbox: _optional_mailbox,
    PageUrl: _page_url,
}

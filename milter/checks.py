"""What a setting may be: a type each, with its check, and faults told to people.

Each check looks at one value, so that all faults of a file are found in one go.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, NewType

import attrs
from cattrs import Converter
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.v import format_exception, transform_error

from milter.smtp.endpoint import Endpoint
from milter.trust.author import ascii_domain
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


def converter() -> Converter:
    """From TOML tables to settings; faults come in an exception group."""
    made = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, check in _CHECKS.items():
        made.register_structure_hook(kind, _hook(check))
    made.register_structure_hook_func(
        lambda kind: bool(kind == tuple[Network, ...]), _hook(_networks)
    )
    return made


def _hook(check: Callable[[object], object]) -> Callable[[object, object], object]:
    return lambda value, _: check(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {value!r}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


def _above_zero(kinds: tuple[type, ...], unit: str) -> Callable[[object], object]:
    def check(value: object) -> object:
        sound = isinstance(value, kinds) and not isinstance(value, bool)
        if not sound or not 0 < value < float("inf"):  # type: ignore[operator]  # a number by now
            raise ValueError(f"must be {unit} above 0, not {value!r}")
        return value

    return check


def _one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def check(value: object) -> str:
        if value not in choices:
            listed = " or ".join(f'"{choice}"' for choice in choices)
            raise ValueError(f"must be {listed}, not {value!r}")
        return str(value)

    return check


def _endpoint(value: object) -> Endpoint:
    return Endpoint.parse(_text(value))


def _next_hop(value: object) -> str:
    if value != "":
        Endpoint.parse_next_hop(_text(value))
    return _text(value)


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of networks, not {value!r}")
    try:
        return tuple(ip_network(_text(item)) for item in value)
    except ValueError as error:
        raise ValueError(f"must be a list of networks such as 127.0.0.0/8: {error}") from error


def _listed(value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of texts in quotes, not {value!r}")
    return [_text(item) for item in value]


def _nameservers(value: object) -> tuple[str, ...]:
    servers = _listed(value)
    for server in servers:
        parse_nameserver(server)
    return tuple(servers)


def _senders(value: object) -> tuple[str, ...]:
    return tuple(_mailbox_or_domain(item) for item in _listed(value))


def _mailbox_or_domain(name: str) -> str:
    """An address or a domain as it is compared: no blanks, no brackets, in small letters."""
    local, at, domain = name.strip().rpartition("@")
    labels = domain.removesuffix(".").split(".")
    plain = all(label and not label.startswith("*") for label in labels)
    if not plain or (at and not local) or set("<>, \t") & set(domain):
        raise ValueError(f"{name!r} is neither an address (a@example.org) nor a domain")
    return _small(local + at + domain.removesuffix("."))


def _small(text: str) -> str:
    """ASCII in small letters, as mailboxes are compared (``Address.mailbox``)."""
    return text.encode().lower().decode()


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
    text = _text(value)
    if text and not URL.fullmatch(text):
        raise ValueError(f"must begin with https:// or http:// and a host, not {text!r}")
    return text


def _optional_mailbox(value: object) -> str:
    text = _text(value)
    if text and not MAILBOX.fullmatch(text):
        raise ValueError(f"must be a mail address such as filter@example.org, not {text!r}")
    return text


def _optional_endpoint(value: object) -> str:
    return "" if value == "" else str(_endpoint(value))


def _path(value: object) -> Path:
    try:
        return Path(_text(value)).expanduser()
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


_CHECKS: dict[object, Callable[[object], object]] = {
    str: _text,
    bool: _flag,
    Path: _path,
    Endpoint: _endpoint,
    NextHopEndpoint: _next_hop,
    OptionalFile: _file,
    NextHopTlsMode: _one_of(NEXT_HOP_TLS),
    Seconds: _above_zero((int, float), "a number of seconds"),
    Octets: _above_zero((int,), "a whole number of octets"),
    Count: _above_zero((int,), "a whole number"),
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


def faults(error: Exception) -> list[str]:
    """A sentence for each fault: ``[section] key: what is wrong``."""

    def sentence(fault: BaseException, kind: type | None) -> str:
        if isinstance(fault, ForbiddenExtraKeysError):
            return "\n".join(_unknown(key, fault.cl) for key in sorted(fault.extra_fields))
        if kind and attrs.has(kind):
            return "must be a section with keys"
        return str(fault) if isinstance(fault, ValueError) else format_exception(fault, kind)

    found = []
    for line in transform_error(error, format_exception=sentence):
        text, _, where = line.rpartition(" @ ")
        section, _, key = where.removeprefix("$").lstrip(".").partition(".")
        place = f"[{section}]" if section else ""
        found += [
            " ".join(filter(None, (place, f"{key}:" if key else "", part)))
            for part in text.split("\n")
        ]
    return found


def _unknown(key: str, section: Any) -> str:
    known = [field.name for field in attrs.fields(section)]
    close = difflib.get_close_matches(key, known, 1)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{key}: unknown; {meant}"

"""The settings: one frozen, typed object from a TOML file.

Each setting stands here once, with its default, its unit and its reason; ``annotated`` makes the
sample file from that. Every fault of a file is found in one go, because each value is checked by
itself: the checks sit in the types.
"""

from __future__ import annotations

import difflib
import os
import socket
import tomllib
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, NewType

import attrs
from cattrs import Converter
from cattrs.errors import ForbiddenExtraKeysError
from cattrs.v import format_exception, transform_error

from milter.errors import SettingsError
from milter.smtp.endpoint import Endpoint

Seconds = NewType("Seconds", float)
Octets = NewType("Octets", int)
Count = NewType("Count", int)
NextHopEndpoint = NewType("NextHopEndpoint", str)  # an endpoint, or empty
Arrangement = NewType("Arrangement", str)
StrayLineEnds = NewType("StrayLineEnds", str)
LogLevel = NewType("LogLevel", str)
ModelsFolder = NewType("ModelsFolder", Path)
Network = IPv4Network | IPv6Network

ARRANGEMENTS = ("before-queue", "after-queue")
STRAY_LINE_ENDS = ("blank", "reject")
LOG_LEVELS = ("debug", "info", "warning", "error")

_SHIPPED_MODELS = Path(__file__).resolve().parent.parent / "models"
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def _setting(default: Any, doc: str) -> Any:
    return attrs.field(default=default, metadata={"doc": doc})


@attrs.frozen
class Filter:
    """Where mail comes from and where it goes."""

    listen: Endpoint = _setting(
        Endpoint.parse("127.0.0.1:10025"),
        "Where Postfix finds the filter: HOST:PORT, [IPV6]:PORT or unix:PATH. "
        "Keep it off the network: whoever reaches it can send mail past Postfix's own checks.",
    )
    next_hop: NextHopEndpoint = _setting(
        "",
        "Where judged mail goes on to: the listener behind the filter, usually 127.0.0.1:10026. "
        "Empty: mail is stored in the Maildir below, to try the filter with no mail server.",
    )
    maildir: Path = _setting(
        Path("var/mail"), "The Maildir for judged mail where there is no next hop."
    )
    arrangement: Arrangement = _setting(
        "before-queue",
        'How Postfix calls: "before-queue" (smtpd_proxy_filter; one mail a connection, and a mail '
        'with octets behind its end is refused) or "after-queue" (content_filter; several mails a '
        "connection, sent ahead). With no next hop sessions are as after the queue.",
    )
    hostname: str = _setting(
        "", "The name in the greeting and in EHLO. Empty: this machine's own name."
    )
    xforward_peers: tuple[Network, ...] = _setting(
        _LOOPBACK,
        "Who may tell the remote client's name and address with XFORWARD. They end up in logs "
        "only, but nobody else should be able to write there.",
    )
    stray_line_ends: StrayLineEnds = _setting(
        "blank",
        'A CR, LF or NUL that ends no line: "blank" replaces it as Postfix does '
        '(cleanup_replace_stray_cr_lf), "reject" refuses the mail with 550 5.5.2.',
    )


@attrs.frozen
class Limits:
    """Bounds. Their sum stays under the 100 s that Postfix waits (smtpd_proxy_timeout)."""

    message_size: Octets = _setting(
        52428800,
        "Octets of the largest mail taken; larger ones get 452. "
        "Not smaller than Postfix's message_size_limit (10240000 by default).",
    )
    errors: Count = _setting(
        20, "Refused commands before a session is ended (Postfix: smtpd_hard_error_limit, 20)."
    )
    idle: Seconds = _setting(
        300.0, "Seconds that a sender may be silent (RFC 5321 4.5.3.2.7 asks for 5 minutes)."
    )
    connect: Seconds = _setting(
        5.0, "Seconds to reach the next hop and be greeted; nearby, what takes longer is down."
    )
    reply: Seconds = _setting(30.0, "Seconds for the next hop's reply to a command.")
    final: Seconds = _setting(
        60.0, "Seconds for the next hop's reply to the final dot: its milters and fsync run there."
    )
    judging: Seconds = _setting(
        2.0,
        "Seconds of judging after which a mail goes on unscored. Usual mails need a thousandth; "
        "all others wait meanwhile, so keep it short.",
    )
    drain: Seconds = _setting(
        30.0, "Seconds that mails under way may take to finish when the filter is stopped."
    )


@attrs.frozen
class Model:
    """The model bundle."""

    folder: ModelsFolder = _setting(
        _SHIPPED_MODELS, "The folder of the bundles. Default: the one that came with the filter."
    )
    version: str = _setting(
        "current", 'Which bundle: its version, or "current" for the one published last.'
    )


@attrs.frozen
class Header:
    """What is written into a mail."""

    clues: bool = _setting(
        True, "Whether X-Coop-Clues names the words that weighed most, beside X-Coop-Verdict."
    )


@attrs.frozen
class Log:
    """The log, on standard error. It names no subject, no text and no full address."""

    level: LogLevel = _setting("info", '"debug", "info" (a line a mail), "warning" or "error".')


@attrs.frozen
class Settings:
    """All settings, by section."""

    filter: Filter = Filter()
    limits: Limits = Limits()
    model: Model = Model()
    header: Header = Header()
    log: Log = Log()

    @property
    def hostname(self) -> str:
        """The name to greet with."""
        name = self.filter.hostname or socket.gethostname()
        return name if name.isascii() and name.isprintable() and " " not in name else "localhost"

    @property
    def before_queue(self) -> bool:
        """Whether sessions are as strict as in front of the queue."""
        return bool(self.filter.next_hop) and self.filter.arrangement == "before-queue"


def load(path: Path | None, overrides: Mapping[str, Mapping[str, object]] = {}) -> Settings:
    """Read settings from ``path`` (None: all defaults), ``overrides`` by section on top.

    Relative folders are relative to the working directory. Raises ``SettingsError`` with every
    fault.
    """
    table = _read(path) if path else {}
    name = str(path) if path else "settings"
    for section, values in overrides.items():
        merged = table.get(section, {})
        table[section] = {**merged, **values} if isinstance(merged, dict) else merged
    try:
        return _converter().structure(table, Settings)
    except Exception as error:  # cattrs gathers the faults in groups, or raises a plain one
        raise SettingsError([f"{name}: {fault}" for fault in _faults(error)]) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError([f"{path}: line {line}: not UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: not TOML: {error}"]) from error


# --- checks, one a type -----------------------------------------------------------------


def _converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, check in _CHECKS.items():
        converter.register_structure_hook(kind, lambda value, _, check=check: check(value))
    converter.register_structure_hook_func(
        lambda kind: kind == tuple[Network, ...], lambda value, _: _networks(value)
    )
    return converter


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
    return str(Endpoint.parse(_text(value))) if value != "" else ""


def _networks(value: object) -> tuple[Network, ...]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of networks, not {value!r}")
    try:
        return tuple(ip_network(_text(item)) for item in value)
    except ValueError as error:
        raise ValueError(f"must be a list of networks such as 127.0.0.0/8: {error}") from error


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


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
    Seconds: _above_zero((int, float), "a number of seconds"),
    Octets: _above_zero((int,), "a whole number of octets"),
    Count: _above_zero((int,), "a whole number"),
    Arrangement: _one_of(ARRANGEMENTS),
    StrayLineEnds: _one_of(STRAY_LINE_ENDS),
    LogLevel: _one_of(LOG_LEVELS),
    ModelsFolder: _existing_folder,
}


# --- faults and sample, for people ------------------------------------------------------


def _faults(error: Exception) -> list[str]:
    """A sentence for each fault: ``[section] key: what is wrong``."""

    def sentence(fault: BaseException, kind: type | None) -> str:
        if isinstance(fault, ForbiddenExtraKeysError):
            return "\n".join(_unknown(key, fault.cl) for key in sorted(fault.extra_fields))
        if attrs.has(kind or object) or not isinstance(fault, ValueError):
            return (
                "must be a section with keys"
                if attrs.has(kind or object)
                else format_exception(fault, kind)
            )
        return str(fault)

    faults = []
    for line in transform_error(error, format_exception=sentence):
        text, _, where = line.rpartition(" @ ")
        section, _, key = where.removeprefix("$").lstrip(".").partition(".")
        place = f"[{section}]" if section else ""
        faults += [
            " ".join(filter(None, (place, f"{key}:" if key else "", part)))
            for part in text.split("\n")
        ]
    return faults


def _unknown(key: str, section: type) -> str:
    known = [field.name for field in attrs.fields(section)]
    close = difflib.get_close_matches(key, known, 1)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{key}: unknown; {meant}"


def annotated() -> str:
    """The sample file: every setting with its default and its reason, ready to be changed."""
    lines = [
        "# Settings of coop-verdict, with their defaults. Made by: coop-verdict config",
        "# Relative paths are relative to the folder that the filter is started in.",
    ]
    for section in attrs.fields(Settings):
        cls = type(section.default)
        lines += ["", f"# {(cls.__doc__ or '').strip()}", f"[{section.name}]"]
        for field in attrs.fields(cls):
            lines += [f"# {line}" for line in _wrapped(field.metadata["doc"])]
            mark = "# " if field.default == _SHIPPED_MODELS else ""
            lines.append(f"{mark}{field.name} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int = 90) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return (
        '"models"'
        if value == _SHIPPED_MODELS
        else f'"{os.fspath(value) if isinstance(value, Path) else value}"'
    )

"""The settings: one frozen, typed object from a TOML file.

Each setting stands here once, with its default, its unit and its reason; ``annotated`` makes the
sample file from that. The checks sit in the types (``milter.checks``).
"""

from __future__ import annotations

import socket
import textwrap
import tomllib
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import attrs

from milter.checks import (
    Arrangement,
    Count,
    LogLevel,
    ModelsFolder,
    Network,
    NextHopEndpoint,
    NextHopTlsMode,
    Octets,
    OptionalFile,
    Seconds,
    StrayLineEnds,
    converter,
    faults,
)
from milter.errors import SettingsError
from milter.smtp.endpoint import Endpoint

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
        "lmtp:HOST:PORT or lmtp:unix:PATH where LMTP is spoken there. "
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
    memory: Octets = _setting(
        262144,
        "Octets of a mail that are held in memory; a larger one waits in a nameless file in the "
        "system's temporary folder (TMPDIR). Times sessions, this bounds what mails can take.",
    )
    sessions: Count = _setting(
        200,
        "Connections at a time; more get 421 at once. Postfix's process limit (20 in the sample) "
        "bounds them first.",
    )
    errors: Count = _setting(
        20, "Refused commands before a session is ended (Postfix: smtpd_hard_error_limit, 20)."
    )
    commands: Count = _setting(
        5000,
        "Commands since the last mail before a session is ended: more than the 1000 recipients "
        "that Postfix takes for one (smtpd_recipient_limit), far less than a flood of RSET.",
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
    total: Seconds = _setting(
        90.0, "Seconds from DATA to the final reply, all in all; must stay under Postfix's 100."
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
class Journal:
    """The index of what was seen: verdict and score a mail, so that corrections can be traced."""

    enabled: bool = _setting(
        True,
        "Whether to keep it. A line holds keyed digests in place of Message-ID and body: no "
        "content, no address.",
    )
    folder: Path = _setting(
        Path("var/state"),
        "Where it is kept, with its key. Give the whole path, so that coop-verdict why finds it "
        "from anywhere.",
    )
    size: Octets = _setting(
        67108864,
        "Octets that it may take: 300 a mail, so 200000 mails. The older half goes when it is "
        "full.",
    )


@attrs.frozen
class Tls:
    """TLS, for hops that are not on one machine. On loopback it protects nothing."""

    certificate: OptionalFile = _setting(
        "", "The filter's certificate chain (PEM). With it, STARTTLS is offered to senders."
    )
    key: OptionalFile = _setting("", "Its private key (PEM). Empty: in the certificate's file.")
    required: bool = _setting(False, "Whether senders must use STARTTLS.")
    next_hop: NextHopTlsMode = _setting(
        "off",
        '"required": mail goes on through STARTTLS only, to a next hop whose certificate holds; '
        '"off": in plain text.',
    )
    next_hop_name: str = _setting(
        "", "The name in the next hop's certificate. Empty: the host under [filter] next_hop."
    )
    next_hop_ca: OptionalFile = _setting(
        "", "Certificates (PEM) that the next hop's is checked against. Empty: the system's."
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
    journal: Journal = Journal()
    tls: Tls = Tls()
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
        return converter().structure(table, Settings)
    except Exception as error:  # cattrs gathers the faults in groups, or raises a plain one
        raise SettingsError([f"{name}: {fault}" for fault in faults(error)]) from error


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


def annotated() -> str:
    """The sample file: every setting with its default and its reason, ready to be changed."""
    lines = [
        "# Settings of coop-verdict, with their defaults. Made by: coop-verdict config",
        "# Relative paths are relative to the folder that the filter is started in.",
    ]
    for section in attrs.fields(Settings):
        cls: Any = type(section.default)
        lines += ["", f"# {(cls.__doc__ or '').strip()}", f"[{section.name}]"]
        for field in attrs.fields(cls):
            lines += [f"# {line}" for line in textwrap.wrap(field.metadata["doc"], 90)]
            mark = "# " if field.default == _SHIPPED_MODELS else ""
            lines.append(f"{mark}{field.name} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if value == _SHIPPED_MODELS:
        return '"models"'
    return f'"{value}"'

"""The settings: one frozen, typed object from a TOML file.

``milter.sections`` has every setting; ``annotated`` makes the sample file from that.
"""

from __future__ import annotations

import socket
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from milter.checks import converter, faults
from milter.errors import SettingsError
from milter.sections import (
    SHIPPED_MODELS,
    Digest,
    Filter,
    Header,
    Journal,
    Limits,
    Log,
    Model,
    Policy,
    Quarantine,
    Review,
    Tls,
    Trust,
)


@attrs.frozen
class Settings:
    """All settings, by section."""

    filter: Filter = Filter()
    limits: Limits = Limits()
    model: Model = Model()
    header: Header = Header()
    policy: Policy = Policy()
    trust: Trust = Trust()
    quarantine: Quarantine = Quarantine()
    review: Review = Review()
    digest: Digest = Digest()
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
            mark = "# " if field.default == SHIPPED_MODELS else ""
            lines.append(f"{mark}{field.name} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{key}" = "{item}"' for key, item in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if value == SHIPPED_MODELS:
        return '"models"'
    return f'"{value}"'

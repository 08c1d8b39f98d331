"""The settings: one frozen, typed object from a TOML file.

``milter.sections`` has every setting, ``milter.settings_file`` reads them and makes the sample.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from milter import settings_file
from milter.checks import CHECKS
from milter.errors import SettingsError
from milter.sections import (
    Digest,
    Filter,
    Header,
    Journal,
    Limits,
    Log,
    Metrics,
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
    metrics: Metrics = Metrics()
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
    table = settings_file.read(path) if path else {}
    name = str(path) if path else "settings"
    for section, values in overrides.items():
        merged = table.get(section, {})
        table[section] = {**merged, **values} if isinstance(merged, dict) else merged
    settings, faults = settings_file.take(Settings, table, CHECKS)
    if faults:
        raise SettingsError([f"{name}: {fault}" for fault in faults])
    return settings


def annotated() -> str:
    """The sample file: every setting with its default and its reason, ready to be changed."""
    lines = [
        "# Settings of coop-verdict, with their defaults. Made by: coop-verdict config",
        "# Relative paths are relative to the folder that the filter is started in.",
    ]
    for section in attrs.fields(Settings):
        cls: Any = type(section.default)
        doc = f"# {(cls.__doc__ or '').strip()}"
        lines += ["", doc, *settings_file.sample(section.name, cls)]
    return "\n".join(lines) + "\n"

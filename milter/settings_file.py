"""Settings in TOML: tables to frozen, typed objects with every fault at once, and a sample file.

A setting has its default, its unit and its reason beside it (``setting``). What it may be is the
check of its type: from one value to what is kept, or ``ValueError`` with the rest of a sentence
that begins with the setting's name.
"""

from __future__ import annotations

import difflib
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from milter.errors import SettingsError

T = TypeVar("T", bound=attrs.AttrsInstance)
Check = Callable[[object], object]
Checks = Mapping[object, Check]


def setting(default: Any, doc: str, sample: str = "") -> Any:
    """A field; ``sample`` is its line in the sample file where that is not the default."""
    return attrs.field(default=default, metadata={"doc": doc, "sample": sample})


def read(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises ``SettingsError``."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise SettingsError([f"{path}: line {line}: not UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: not TOML: {error}"]) from error


def take(kind: type[T], table: object, checks: Checks) -> tuple[T, list[str]]:
    """The settings in ``table``, and a sentence for each fault, in the table's order.

    What is at fault has its default. A field of ``kind`` that has fields itself is a section.
    """
    if not isinstance(table, Mapping):
        return kind(), ["must be a section with keys"]
    types = {field.name: field.type for field in attrs.fields(attrs.resolve_types(kind))}
    values: dict[str, object] = {}
    faults: list[str] = []
    for key, value in table.items():
        if key not in types:
            faults.append(f"{key}: unknown; {_meant(key, types)}")
        elif attrs.has(types[key]):
            values[key], inside = take(types[key], value, checks)
            faults += [f"[{key}] {fault}" for fault in inside]
        else:
            try:
                values[key] = checks[types[key]](value)
            except ValueError as error:
                faults.append(f"{key}: {error}")
    return kind(**values), faults


def _meant(key: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def text(value: object) -> str:
    """A check: any text."""
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {value!r}")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A check: any texts."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"must be a list of texts in quotes, not {value!r}")
    return tuple(text(item) for item in value)


def above_zero(kinds: tuple[type, ...], unit: str) -> Check:
    """A check for numbers of these types; ``unit`` is what they are, for people."""

    def check(value: object) -> object:
        sound = isinstance(value, kinds) and not isinstance(value, bool)
        if not sound or not 0 < value < float("inf"):  # type: ignore[operator]  # a number by now
            raise ValueError(f"must be {unit} above 0, not {value!r}")
        return value

    return check


def sample(name: str, kind: type) -> list[str]:
    """The lines of a section with every default and its reason, ready to be changed."""
    lines = [f"[{name}]"]
    for field in attrs.fields(kind):
        lines += [f"# {line}" for line in textwrap.wrap(field.metadata["doc"], 90)]
        lines.append(field.metadata["sample"] or f"{field.name} = {_toml(field.default)}")
    return lines


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f'"{key}" = "{item}"' for key, item in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"'

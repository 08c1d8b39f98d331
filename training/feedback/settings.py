"""The settings of learning from feedback: a frozen, typed object from a TOML table ``[feedback]``.

Each setting stands here once, with its default, its unit and its reason. The filter does not read
them: they decide what is learned, never what becomes of a mail.
"""

from __future__ import annotations

import difflib
import textwrap
import tomllib
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from milter.errors import SettingsError
from milter.spam.bundle import LABELS

Check = Callable[[object], object]


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"must be a list of texts in quotes, not {value!r}")
    return tuple(value)


def _names(value: object) -> tuple[str, ...]:
    names = _texts(value)
    if not all(name.strip() for name in names):
        raise ValueError(f"must be a list of names with letters in them, not {value!r}")
    return names


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text in quotes, not {value!r}")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"must be a whole number above 0, not {value!r}")
    return value


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise ValueError(f"must be a share above 0, 1 at most, not {value!r}")
    return float(value)


def _setting(default: Any, check: Check, doc: str) -> Any:
    return attrs.field(default=default, metadata={"doc": doc, "check": check})


@attrs.frozen
class FeedbackSettings:
    """What counts as feedback, and how much of it one owner or one sender may hand in."""

    fake: tuple[str, ...] = _setting(
        ("fake", "Fake-Kooperation", "Fake-Kooperationen", "Fake-Cooperation", "Fake-Partnership"),
        _names,
        "Names of the folders (mbox files likewise) whose mails are fake cooperations. Upper and "
        "lower case are the same, and so are blank, - and _; INBOX before a name is ignored.",
    )
    genuine: tuple[str, ...] = _setting(
        (
            *("genuine", "echt", "Echte-Kooperation", "Echte-Kooperationen"),
            *("Genuine-Cooperation", "Genuine-Partnership"),
        ),
        _names,
        "The same for genuine proposals.",
    )
    none: tuple[str, ...] = _setting(
        ("none", "keine", "Keine-Kooperation", "Keine-Kooperationen", "No-Cooperation"),
        _names,
        "The same for mail that is neither; here goes what was called fake by mistake.",
    )
    subject_tag: str = _setting(
        "",
        _text,
        "What a mail server puts before the subject of a judged mail, such as "
        '"[Kooperation?]". It is taken off: otherwise the model would learn its own verdict.',
    )
    own_domains: tuple[str, ...] = _setting(
        (),
        _names,
        "Domains of one's own, with all below them. Mail from there is not learned as fake.",
    )
    trusted_senders: tuple[str, ...] = _setting(
        (),
        _names,
        "Addresses, and domains with all below them, whose mail is never learned as fake.",
    )
    owner_quota: int = _setting(
        200,
        _count,
        "Mails of a label that one owner can have in a model, the newest ones. "
        "So nobody can turn the filter by handing in a mailbox full.",
    )
    owner_share: float = _setting(
        0.2,
        _share,
        "The same as a share of the base corpus' mails of that label; the smaller one counts.",
    )
    domain_quota: int = _setting(
        10,
        _count,
        "Mails of a label that one sender's domain can have in a model; more teach its name only.",
    )
    shared_domains: tuple[str, ...] = _setting(
        (
            *("aol.com", "freenet.de", "gmail.com", "googlemail.com", "gmx.at", "gmx.ch", "gmx.de"),
            *(
                "gmx.net",
                "hotmail.com",
                "hotmail.de",
                "icloud.com",
                "live.com",
                "mail.ru",
                "me.com",
            ),
            *("mailbox.org", "outlook.com", "outlook.de", "posteo.de", "proton.me", "qq.com"),
            *("protonmail.com", "t-online.de", "web.de", "yahoo.com", "yahoo.de", "yandex.com"),
        ),
        _names,
        "Domains of mail providers: here an address has the quota of a domain.",
    )
    max_octets: int = _setting(
        2 << 20,
        _count,
        "Octets of the largest mail that is read. Its text is looked at, no pictures.",
    )
    near_duplicate: float = _setting(
        0.8,
        _share,
        "The share of runs of eight words that two mails have in common to count as one.",
    )

    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of the folders of each label."""
        return {label: getattr(self, label) for label in LABELS}


def load(path: Path | None) -> FeedbackSettings:
    """The settings in the table ``[feedback]`` of a TOML file (None: all defaults).

    Other tables are left to those who read them. Raises ``SettingsError`` with every fault.
    """
    table = _read(path).get("feedback", {}) if path else {}
    if not isinstance(table, dict):
        raise SettingsError([f"{path}: [feedback] must be a section with keys"])
    faults: list[str] = []
    values: dict[str, Any] = {}
    fields = {field.name: field for field in attrs.fields(FeedbackSettings)}
    for key, value in table.items():
        if key not in fields:
            faults.append(f"{path}: [feedback] {key}: unknown; {_meant(key, list(fields))}")
            continue
        try:
            values[key] = fields[key].metadata["check"](value)
        except ValueError as error:
            faults.append(f"{path}: [feedback] {key}: {error}")
    settings = FeedbackSettings(**values)
    faults += [f"{path}: [feedback] {fault}" for fault in _twice(settings)]
    if faults:
        raise SettingsError(faults)
    return settings


def _meant(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"


def _twice(settings: FeedbackSettings) -> list[str]:
    """A folder has one label: names that stand under two."""
    seen: dict[str, str] = {}
    faults = []
    for label, names in settings.names().items():
        for name in names:
            other = seen.setdefault(plain_name(name), label)
            if other != label:
                faults.append(f"{label}: {name!r} is a name for {other} already")
    return faults


def plain_name(name: str) -> str:
    """A folder's name as it is compared: case, blanks, - and _ make no difference."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(letters.replace("-", " ").replace("_", " ").split())


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: not UTF-8"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: not TOML: {error}"]) from error


def annotated() -> str:
    """The table with every default and its reason, ready to be changed."""
    lines = ["# Settings of learning from feedback, with their defaults.", "[feedback]"]
    for field in attrs.fields(FeedbackSettings):
        lines += [f"# {line}" for line in textwrap.wrap(field.metadata["doc"], 90)]
        lines.append(f"{field.name} = {_toml(field.default)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)

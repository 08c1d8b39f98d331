"""The settings of learning from feedback: a frozen, typed object from a TOML table ``[feedback]``.

Each setting stands here once, with its default, its unit and its reason. The filter does not read
them: they decide what is learned, never what becomes of a mail.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NewType

import attrs

from milter.errors import SettingsError
from milter.settings_file import Check, above_zero, read, sample, setting, take, text, texts
from milter.spam.bundle import LABELS

Names = NewType("Names", tuple[str, ...])
Count = NewType("Count", int)
Share = NewType("Share", float)


def _names(value: object) -> tuple[str, ...]:
    names = texts(value)
    if not all(name.strip() for name in names):
        raise ValueError(f"must be a list of names with letters in them, not {value!r}")
    return names


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise ValueError(f"must be a share above 0, 1 at most, not {value!r}")
    return float(value)


_CHECKS: dict[object, Check] = {
    str: text,
    Names: _names,
    Count: above_zero((int,), "a whole number"),
    Share: _share,
}


@attrs.frozen
class FeedbackSettings:
    """What counts as feedback, and how much of it one owner or one sender may hand in."""

    fake: Names = setting(
        ("fake", "Fake-Kooperation", "Fake-Kooperationen", "Fake-Cooperation", "Fake-Partnership"),
        "Names of the folders (mbox files likewise) whose mails are fake cooperations. Upper and "
        "lower case are the same, and so are blank, - and _; INBOX before a name is ignored.",
    )
    genuine: Names = setting(
        (
            *("genuine", "echt", "Echte-Kooperation", "Echte-Kooperationen"),
            *("Genuine-Cooperation", "Genuine-Partnership"),
        ),
        "The same for genuine proposals.",
    )
    none: Names = setting(
        ("none", "keine", "Keine-Kooperation", "Keine-Kooperationen", "No-Cooperation"),
        "The same for mail that is neither; here goes what was called fake by mistake.",
    )
    subject_tag: str = setting(
        "",
        "What a mail server puts before the subject of a judged mail, such as "
        '"[Kooperation?]". It is taken off: otherwise the model would learn its own verdict.',
    )
    own_domains: Names = setting(
        (),
        "Domains of one's own, with all below them. Mail from there is not learned as fake.",
    )
    trusted_senders: Names = setting(
        (),
        "Addresses, and domains with all below them, whose mail is never learned as fake.",
    )
    owner_quota: Count = setting(
        200,
        "Mails of a label that one owner can have in a model, the newest ones. "
        "So nobody can turn the filter by handing in a mailbox full.",
    )
    owner_share: Share = setting(
        0.2,
        "The same as a share of the base corpus' mails of that label; the smaller one counts.",
    )
    domain_quota: Count = setting(
        10,
        "Mails of a label that one sender's domain can have in a model; more teach its name only.",
    )
    shared_domains: Names = setting(
        (
            *("aol.com", "freenet.de", "gmail.com", "googlemail.com", "gmx.at", "gmx.ch", "gmx.de"),
            *("gmx.net", "hotmail.com", "hotmail.de", "icloud.com", "live.com", "mail.ru"),
            *(
                "mailbox.org",
                "me.com",
                "outlook.com",
                "outlook.de",
                "posteo.de",
                "proton.me",
                "qq.com",
            ),
            *("protonmail.com", "t-online.de", "web.de", "yahoo.com", "yahoo.de", "yandex.com"),
        ),
        "Domains of mail providers: here an address has the quota of a domain.",
    )
    max_octets: Count = setting(
        2 << 20,
        "Octets of the largest mail that is read. Its text is looked at, no pictures.",
    )
    near_duplicate: Share = setting(
        0.8,
        "The share of runs of eight words that two mails have in common to count as one.",
    )

    def names(self) -> dict[str, tuple[str, ...]]:
        """The names of the folders of each label."""
        return {label: getattr(self, label) for label in LABELS}


def load(path: Path | None) -> FeedbackSettings:
    """The settings in the table ``[feedback]`` of a TOML file (None: all defaults).

    Other tables are left to those who read them. Raises ``SettingsError`` with every fault.
    """
    table = read(path).get("feedback", {}) if path else {}
    settings, faults = take(FeedbackSettings, table, _CHECKS)
    faults += _twice(settings)
    if faults:
        raise SettingsError([f"{path}: [feedback] {fault}" for fault in faults])
    return settings


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


def annotated() -> str:
    """The table with every default and its reason, ready to be changed."""
    heading = "# Settings of learning from feedback, with their defaults."
    return "\n".join([heading, *sample("feedback", FeedbackSettings)]) + "\n"

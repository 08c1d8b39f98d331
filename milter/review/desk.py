"""Everything that the page works with, built in one place."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from milter.config import Settings
from milter.digest.links import Links
from milter.hops import Ways
from milter.models import ModelInUse
from milter.quarantine.store import Quarantine
from milter.review import guard
from milter.review.attempts import Attempts
from milter.review.passwords import Checker
from milter.review.sessions import Sessions
from milter.review.shown import safe
from milter.review.users import Users

_TEMPLATES = Path(__file__).with_name("templates")
# Characters of a subject or an address that a page shows.
_LINE = 300
_PERSON = re.compile(r"([^<>]*)<([^<>]*)>", re.DOTALL)


@dataclass(slots=True)
class Desk:
    """What the routes share. ``base``: the path below which the page is."""

    settings: Settings
    users: Users
    sessions: Sessions
    quarantine: Quarantine
    links: Links
    ways: Ways
    model: ModelInUse
    attempts: Attempts = field(default_factory=Attempts)
    passwords: Checker = field(default_factory=Checker)
    #: Signs the tokens of forms that are shown to those who are not logged in.
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    templates: Environment = field(default_factory=lambda: _templates())

    @classmethod
    def build(cls, settings: Settings) -> Desk:
        """Raises ``CoopError`` where something that it needs cannot be used."""
        quarantine = Quarantine(settings.quarantine.folder, settings.quarantine.group)
        quarantine.prepare()
        return cls(
            settings=settings,
            users=Users(settings.review.state),
            sessions=Sessions(settings.review.session),
            quarantine=quarantine,
            links=Links.kept_in(settings.review.state),
            ways=Ways(settings),
            model=ModelInUse(settings.model),
        )

    @property
    def base(self) -> str:
        return guard.base_of(self.settings.review)

    @property
    def https(self) -> bool:
        return guard.is_https(self.settings.review)


def one_line(text: str) -> str:
    """A stranger's text as one line that is fit to be shown."""
    line = " ".join(text[: _LINE * 4].split())
    return safe(line if len(line) <= _LINE else f"{line[:_LINE]} \N{HORIZONTAL ELLIPSIS}")


def person(author: str) -> tuple[str, str]:
    """The name and the address of a From field, each fit to be shown; either may be empty."""
    match = _PERSON.fullmatch(author.strip()[: _LINE * 4])
    name, address = (match[1], match[2]) if match else ("", author)
    return one_line(name.strip().removeprefix('"').removesuffix('"')), one_line(address)


def _iso(seconds: float) -> str:
    """A Unix time for programs (ISO 8601), with this machine's zone."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["line"] = one_line
    made.filters["person"] = person
    made.filters["iso"] = _iso
    return made

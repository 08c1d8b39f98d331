"""What can be asked for in a list of held mails, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from milter.quarantine.item import OPEN, Item, State

#: What a list can be sorted by.
Sort = Literal["time", "score", "sender", "subject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which mails, in which order, which part of them.

    ``recipients``: mailboxes whose mail may be seen; None is everybody's, an empty list nobody's.
    ``states`` and ``verdicts``: empty is any. ``since`` and ``until``: Unix time, the second not
    included. ``words``: each must be somewhere in subject, author, sender or recipient, in
    whatever case. The latest, highest, last in the alphabet come first unless ``ascending``.
    """

    recipients: Sequence[str] | None = None
    states: Sequence[State] = OPEN
    verdicts: Sequence[str] = ()
    since: float | None = None
    until: float | None = None
    words: str = ""
    sort: Sort = "time"
    ascending: bool = False
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and how many there are in the whole of it.

    An item whose mail is found missing just then is shown as ``gone``, once.
    """

    items: Sequence[Item]
    total: int

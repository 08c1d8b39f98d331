"""What a list is asked for, from the address of its page. What makes no sense there is left out."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from milter.quarantine.item import OPEN, State
from milter.quarantine.query import Query, Sort
from milter.review.users import User
from milter.spam.action import Action
from milter.spam.verdict import Verdict

#: Mails on a page.
SIZE = 50
#: What can be asked for, in the order in which it is offered; the first is what one gets.
STATES: dict[str, tuple[State, ...]] = {
    "waiting": OPEN,
    "released": (State.RELEASED,),
    "removed": (State.DELETED, State.EXPIRED, State.GONE),
    "all": (),
}
DAYS = ("all", "1", "7", "30")
#: Of mails that went through: their index may be long, and is read anew for each page.
PASSED_DAYS = ("7", "1", "30", "all")
VERDICTS = ("", *Verdict)
ACTIONS = ("", *Action)
SORTS: tuple[str, ...] = get_args(Sort)
_ORDERS = {"up": True, "down": False}
# Sorted by these, a list begins with A; by the others, with the latest or highest.
_FROM_A = ("sender", "subject")
_NUMBER = re.compile(r"[0-9]{1,6}")
# Characters of a search that are looked at.
_WORDS = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """A list's filter; each field holds one of the words above. ``usual``: the days one gets."""

    words: str = ""
    verdict: str = ""
    state: str = "waiting"
    action: str = ""
    days: str = "all"
    sort: str = "time"
    ascending: bool = False
    page: int = 1
    usual: str = DAYS[0]

    @classmethod
    def of(cls, given: Mapping[str, str], days: tuple[str, ...] = DAYS) -> Filter:
        """Read the query of an address."""
        number = given.get("page", "")
        sort = _one_of(given.get("sort"), SORTS)
        return cls(
            words=given.get("q", "")[:_WORDS].strip(),
            verdict=_one_of(given.get("verdict"), VERDICTS),
            state=_one_of(given.get("state"), tuple(STATES)),
            action=_one_of(given.get("action"), ACTIONS),
            days=_one_of(given.get("days"), days),
            sort=sort,
            ascending=_ORDERS.get(given.get("order", ""), sort in _FROM_A),
            usual=days[0],
            page=max(int(number), 1) if _NUMBER.fullmatch(number) else 1,
        )

    @property
    def since(self) -> float:
        """The Unix time that ``days`` reaches back to."""
        return 0.0 if self.days == "all" else time.time() - int(self.days) * 86400

    @property
    def narrowed(self) -> bool:
        """Whether anything but the usual is asked for."""
        return bool(self.query(page="", sort="", order=""))

    def query(self, **other: object) -> dict[str, object]:
        """The query of the same list's address, with ``other`` fields; nothing needless in it."""
        fields = {
            "q": self.words,
            "verdict": self.verdict,
            "state": "" if self.state == "waiting" else self.state,
            "action": self.action,
            "days": "" if self.days == self.usual else self.days,
            "sort": "" if self.sort == SORTS[0] else self.sort,
            "order": _order(self.sort, self.ascending),
            "page": "" if self.page == 1 else self.page,
        }
        return {name: value for name, value in {**fields, **other}.items() if value}

    def sorted_by(self, sort: str) -> dict[str, object]:
        """The query of the list sorted by this; once more: the other way round."""
        turned = not self.ascending if sort == self.sort else sort in _FROM_A
        order = _order(sort, turned)
        return self.query(sort="" if sort == SORTS[0] else sort, order=order, page="")

    def held(self, user: User) -> Query:
        """What to ask the quarantine for, of what ``user`` may see."""
        return Query(
            recipients=None if user.admin else user.recipients,
            states=STATES[self.state],
            verdicts=(self.verdict,) if self.verdict else (),
            since=self.since or None,
            words=self.words,
            sort=self.sort,  # type: ignore[arg-type]  # one of them: SORTS
            ascending=self.ascending,
            offset=(self.page - 1) * SIZE,
            limit=SIZE,
        )


@dataclass(frozen=True, slots=True)
class Pages:
    """Which page of how many."""

    page: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(-(-self.total // SIZE), 1)

    @property
    def first_item(self) -> int:
        return min((self.page - 1) * SIZE + 1, self.total)

    @property
    def last_item(self) -> int:
        return min(self.page * SIZE, self.total)


def _order(sort: str, ascending: bool) -> str:
    """The word for an order in an address; none for the usual one."""
    usual = sort in _FROM_A
    return "" if ascending is usual else next(w for w, up in _ORDERS.items() if up is ascending)


def _one_of(given: str | None, words: tuple[str, ...]) -> str:
    return str(given) if given in words else words[0]

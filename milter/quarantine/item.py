"""What is known of one held mail: the facts when it came, and what happened since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from milter.smtp.command import Address


class State(StrEnum):
    """Where a held mail stands. The same words in its file, in the index and on the page."""

    HELD = "held"
    DEFERRED = "deferred"  # accepted from its sender, and to be delivered on by the filter
    RELEASING = "releasing"  # not delivered yet; stays so if the releasing process is killed
    SENT_DOT = "sent-dot"  # the next hop has it whole and has not answered: it may have taken it
    RELEASED = "released"
    DELETED = "deleted"
    EXPIRED = "expired"
    GONE = "gone"  # its recipient took it out of the Maildir, with a mail client


#: The states of a mail that is still there.
OPEN = (State.HELD, State.DEFERRED, State.RELEASING, State.SENT_DOT)
#: The states that a mail goes back to when a release comes to nothing.
RESTING = (State.HELD, State.DEFERRED)


@dataclass(frozen=True, slots=True)
class Event:
    """A line behind the facts: ``state`` from then on, ``by`` whom, and the next hop's ``reply``.

    ``time``: Unix time.
    """

    state: State
    time: float
    by: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of a mail and its verdict.

    ``time``: Unix time of its arrival; ``score``: the probability of fake, None where it was not
    judged; ``author``: From as text; ``octets``: as it is stored, with our fields; ``mail_id``:
    ties it to the log. All texts but the closed lists come from the mail: from anybody.
    """

    id: str
    time: float
    state: State
    client: str
    mail_id: str
    verdict: str
    score: float | None
    reason: str
    asks: tuple[str, ...]
    offers: tuple[str, ...]
    clues: tuple[tuple[str, float], ...]
    model: str
    subject: str
    author: str
    octets: int


@dataclass(frozen=True, slots=True)
class Facts(_Told):
    """What was known when the mail was held: for people, and its envelope in its own octets.

    ``name``: the file's, without flags; ``state``: held or deferred; ``attributes``: XFORWARD's.
    """

    name: str
    sender: Address
    recipient: Address
    attributes: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Item(_Told):
    """One mail held for one recipient, as lists and pages show it.

    ``recipient`` and ``sender`` are mailboxes as people compare them (``Address.mailbox``, the
    sender empty for a bounce). ``changed``, ``by`` and ``reply`` tell of the last event, ``reply``
    why the last release came to nothing.
    """

    recipient: str
    sender: str
    changed: float
    by: str = ""
    reply: str = ""

    @property
    def open(self) -> bool:
        """Whether the mail is still there, to be released or deleted."""
        return self.state in OPEN


def item_of(facts: Facts, last: Event, state: State) -> Item:
    """``facts`` and the ``last`` event as one, in ``state``."""
    return Item(
        id=facts.id,
        recipient=facts.recipient.mailbox,
        sender=facts.sender.mailbox,
        time=facts.time,
        state=state,
        verdict=facts.verdict,
        score=facts.score,
        reason=facts.reason,
        asks=facts.asks,
        offers=facts.offers,
        clues=facts.clues,
        model=facts.model,
        subject=facts.subject,
        author=facts.author,
        octets=facts.octets,
        client=facts.client,
        mail_id=facts.mail_id,
        changed=last.time,
        by=last.by,
        reply=last.reply,
    )

"""Who is due a digest, and its way through the next hop.

A digest goes to the recipient of the held mails and to nobody else, from the null sender: what
cannot be delivered bounces to nobody (RFC 5321 4.5.5). It does not pass the filter.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from milter.checks import MAILBOX, URL
from milter.config import Settings
from milter.digest.letter import Entry, Letter, compose
from milter.digest.links import Links, fits
from milter.digest.memory import Memory
from milter.errors import NextHopError, SettingsError
from milter.quarantine.store import Item, Quarantine, Query, State
from milter.smtp import reply as r
from milter.smtp.command import Address
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply

#: Mails that a digest lists; of more, the newest.
LISTED = 50
# Items that are read from the quarantine at a time.
_PAGE = 500
_DAY = 86400
# Seconds between two digests to one recipient: a day, less what a timer may be early.
_APART = 20 * 3600


@dataclass(slots=True)
class Due:
    """What ``recipient`` has to be told: the ``newest`` of ``count`` mails that were not told yet.

    ``held``: the ids of all mails held, told or not.
    """

    recipient: str
    newest: deque[Item] = field(default_factory=lambda: deque(maxlen=LISTED))
    count: int = 0
    held: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """``sent``: digests that the next hop took; ``failed``: recipient and reason of the others."""

    sent: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Form:
    """What all digests of a run have in common."""

    sender: str
    url: str
    link_days: int
    kept_days: int

    @classmethod
    def of(cls, settings: Settings) -> Form:
        """By the settings; raises ``SettingsError`` with all that keeps digests from being sent."""
        sender = settings.digest.sender or f"coop-verdict@{settings.hostname}"
        listen = settings.review.listen
        url = settings.review.url or ("" if listen.path else f"http://{listen}")
        faults = []
        if not MAILBOX.fullmatch(sender):
            faults.append(f"[digest] sender: {sender!r} is not an address such as coop@example.org")
        if not URL.fullmatch(url):
            faults.append(f"[review] url: {url!r} is not an address such as https://example.org")
        if faults:
            raise SettingsError(faults)
        return cls(sender, url.rstrip("/"), settings.digest.link_days, settings.quarantine.days)


def due(quarantine: Quarantine, memory: Memory, now: float) -> list[Due]:
    """Everybody for whom mail is held that they were not told of, if their day is over."""
    found: dict[str, Due] = {}
    told = {}
    for item in _held(quarantine):
        if item.recipient not in found:
            found[item.recipient] = Due(item.recipient)
            told[item.recipient] = memory.told(item.recipient)
        one = found[item.recipient]
        one.held.append(item.id)
        if item.id not in told[item.recipient].items:
            one.newest.append(item)
            one.count += 1
    return [
        one
        for recipient, one in sorted(found.items())
        if one.count and not 0 <= now - told[recipient].last < _APART
    ]


def _held(quarantine: Quarantine) -> Iterator[Item]:
    """All held mails, the oldest first, each once: also if others come and go meanwhile."""
    since: float | None = None
    last: set[str] = set()  # those of just that time
    while True:
        page = quarantine.find(
            Query(states=(State.HELD,), since=since, ascending=True, limit=_PAGE + len(last))
        )
        fresh = [item for item in page.items if item.id not in last]
        if not fresh:
            return
        yield from (item for item in fresh if item.state is State.HELD)
        since = fresh[-1].time
        last = {item.id for item in page.items if item.time == since}


async def send(
    dues: Sequence[Due], form: Form, links: Links, memory: Memory, next_hop: NextHop, now: float
) -> Outcome:
    """A digest to each, in one session. What the next hop refuses is tried at the next run."""
    outcome = Outcome()
    try:
        for number, one in enumerate(dues):
            try:
                await next_hop.open()
            except NextHopError as error:  # it is down: do not wait for that once a recipient
                outcome.failed += [(other.recipient, str(error)) for other in dues[number:]]
                break
            if reason := await _refused(one, form, links, next_hop, now):
                outcome.failed.append((one.recipient, reason))
            else:
                memory.remember(one.recipient, now, one.held)
                outcome.sent += 1
    finally:
        await next_hop.close()
    return outcome


async def _refused(one: Due, form: Form, links: Links, next_hop: NextHop, now: float) -> str:
    """Send one; why that came to nothing, or nothing."""
    address = Address.parse(b"TO", b"TO:<" + one.recipient.encode("utf-8", "replace") + b">")
    sound = address and not address.parameters and one.recipient.isprintable()
    if not address or not sound or not fits(one.recipient):
        return "no digest can be sent to this address"
    octets = compose(_letter(one, form, links, now), now, secrets.token_hex(16))
    try:
        reply = await _delivered(address, octets, next_hop)
    except NextHopError as error:
        return str(error)
    return "" if reply.positive else str(reply)


def _letter(one: Due, form: Form, links: Links, now: float) -> Letter:
    expires = now + form.link_days * _DAY
    entries = [
        Entry(
            time=item.time,
            author=item.author or item.sender,
            subject=item.subject,
            verdict=item.verdict,
            score=item.score,
            link=f"{form.url}/link/{links.make(item.id, one.recipient, expires)}",
        )
        for item in reversed(one.newest)
    ]
    return Letter(
        recipient=one.recipient,
        sender=form.sender,
        entries=entries,
        more=one.count - len(entries),
        page=form.url,
        link_days=form.link_days,
        kept_days=form.kept_days,
    )


async def _delivered(address: Address, octets: bytes, next_hop: NextHop) -> Reply:
    international = not address.path.isascii()
    if international and b"SMTPUTF8" not in next_hop.capabilities:
        return r.NO_SMTPUTF8
    reply = await next_hop.mail(Address(b"<>", b"SMTPUTF8" if international else b""), {})
    if reply.positive:
        reply = await next_hop.rcpt(address)
    if reply.positive:
        reply = await next_hop.deliver([octets])
    if not reply.positive:
        await next_hop.reset()
    return reply

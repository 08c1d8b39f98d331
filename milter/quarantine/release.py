"""A held mail goes on to the next hop: once, and after a crash not less than once.

Before each step that cannot be taken back, the record says that it comes (``milter.quarantine.
record``): ``releasing`` before anything is said, ``sent-dot`` right before the final dot, and
``released`` when the next hop has answered 2xx. A record that ends in ``releasing`` is of a mail
that was not delivered. One that ends in ``sent-dot`` is of a mail that may have been: that is the
window that SMTP has itself (RFC 1047), and the mail is then sent again rather than lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from milter.errors import NextHopError, NextHopUnsure, NotHeld, QuarantineError
from milter.mail import header
from milter.quarantine.item import Facts, State
from milter.quarantine.record import Locked
from milter.smtp import reply as r
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply
from milter.spam.action import header_fields
from milter.spam.verdict import Judgement, Reason, Verdict

# Octets a read; a header usually ends in the first.
_PIECE = 1 << 16


async def release(held: Locked, mail: Path, next_hop: NextHop, by: str, correct: bool) -> Reply:
    """Deliver ``mail`` and put on record what came of it; the reply is the next hop's.

    ``correct``: with the verdict of a released mail, instead of the fields that it was held with.
    After a 2xx the mail is removed. Raises ``NextHopError``, upon which it is held as before (or
    in the window, if it is ``NextHopUnsure``), and ``QuarantineError`` where the disk fails us.
    """
    fields = _released(held.record.facts) if correct else None
    await _append(held, State.RELEASING, by)

    def pieces() -> Iterator[bytes]:
        yield from _content(mail, fields)
        held.append(State.SENT_DOT, by)  # the dot follows, and nothing else

    try:
        reply = await _transaction(held.record.facts, next_hop, pieces)
    except NextHopUnsure as error:
        await _append(held, State.SENT_DOT, by, str(error))
        raise
    except NextHopError as error:
        await _append(held, held.record.rest, by, str(error))
        raise
    except OSError as error:
        raise failed(error) from error
    if reply.positive:
        await asyncio.to_thread(end, held, mail, State.RELEASED, by, str(reply))
    else:
        await _append(held, _after(held, reply, correct), by, str(reply))
    return reply


def end(held: Locked, mail: Path | None, state: State, by: str, reply: str = "") -> None:
    """Put ``state`` on record, then remove the mail. On a full disk, removing it makes room.

    Raises ``QuarantineError`` where neither way leads to a record.
    """
    try:
        held.append(state, by, reply)
    except OSError:
        _remove(mail)
        try:
            held.append(state, by, reply)
        except OSError as error:
            raise failed(error) from error
    _remove(mail)


def failed(error: OSError) -> QuarantineError:
    """The disk's fault in words."""
    if isinstance(error, FileNotFoundError):
        return NotHeld("this mail was taken out of the quarantine just now")
    return QuarantineError(f"the quarantine cannot be read or written: {error.strerror}")


def _remove(mail: Path | None) -> None:
    if mail:
        with suppress(OSError):  # the record counts; what is left is removed when it is reconciled
            mail.unlink(missing_ok=True)


async def _append(held: Locked, state: State, by: str, reply: str = "") -> None:
    try:
        await asyncio.to_thread(held.append, state, by, reply)
    except OSError as error:
        raise failed(error) from error


def _after(held: Locked, reply: Reply, correct: bool) -> State:
    """Where a refused mail rests. One that is tried again and again must not be so for ever."""
    refused_for_good = reply.code >= 500
    return State.HELD if refused_for_good and not correct else held.record.rest


async def _transaction(
    facts: Facts, next_hop: NextHop, pieces: Callable[[], Iterator[bytes]]
) -> Reply:
    """MAIL, RCPT, DATA with the envelope that the mail came with."""
    await next_hop.open()
    sender = facts.sender
    if sender.wants(b"SMTPUTF8") and b"SMTPUTF8" not in next_hop.capabilities:
        return r.NO_SMTPUTF8
    if b"SIZE" not in next_hop.capabilities:
        sender = sender.without(b"SIZE")
    reply = await next_hop.mail(sender, facts.attributes)
    if reply.positive:
        reply = await next_hop.rcpt(facts.recipient)
    if reply.positive:
        return await next_hop.deliver(pieces())
    with suppress(NextHopError):  # it is to forget the envelope; it has no mail
        await next_hop.reset()
    return reply


def _released(facts: Facts) -> list[bytes]:
    return header_fields(Judgement(Verdict.NONE, facts.model, reason=Reason.RELEASED))


def _content(mail: Path, fields: list[bytes] | None) -> Iterator[bytes]:
    """The mail, piece by piece, with ``fields`` as the only ones of ours; None: as it is."""
    with mail.open("rb") as file:
        if fields is not None:
            head = file.read(_PIECE)
            if header.end_of_header(head) == len(head) == _PIECE:
                head += file.read()  # however long a header is, it is edited as a whole
            yield header.with_fields(head, fields)
        while piece := file.read(_PIECE):
            yield piece

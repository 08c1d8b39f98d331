"""``coop-verdict why``: what was done with one mail, and what a correction of it came to.

Two witnesses, each of which may know nothing: the filter's index (``milter.seen``), and the
receipts that learning leaves beside the models, a JSON object a line with the mail's
``message_id``, ``source``, ``label``, ``outcome``, ``reason`` and ``model``.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from milter import seen
from milter.config import Settings
from milter.errors import JournalError
from milter.mail import identity
from milter.report import printable
from milter.seen import Seen

log = logging.getLogger(__name__)

#: The receipts' file in the folder of the models.
RECEIPTS = "receipts.jsonl"

# What the words of a receipt's closed lists mean to the owner. A newer coop-train may know more
# of them; these are then shown as they are.
_OUTCOMES = {
    "learned": "learned as {label} into {model}",
    "known": "filed as {label}, already known",
    "refused": "filed as {label}, refused",
    "withdrawn": "withdrawn: it counts as {label} no more",
    "unreadable": "not read",
}
_REASONS = {
    "duplicate": "the same mail lies in a feedback folder once more",
    "near-duplicate": "it says nearly the same as another mail, which was learned",
    "conflict": "owners disagree about it",
    "quota-source": "its owner has handed in more mails of this label than one may",
    "quota-domain": "there are more mails from its sender's domain than may be",
    "own-domain": "it comes from a domain of your own",
    "several-parties": "it is part of a conversation with several people, or of a list",
    "trusted-sender": "the settings trust its sender",
    "too-little-text": "it has fewer words than the filter judges by",
    "alone": "all the other mails speak against what it was filed as, and the model that had "
    "learned it was refused",
    "gate": "the model that had learned it was worse than the one in use",
    "trashed": "its owner has marked it as deleted",
    "gone": "it is not in the feedback folder any more",
    "too-large": "it is too large",
    "not-a-mail": "it has no header, or no text at all",
    "not-a-file": "it is a link, a pipe or something else that is no file",
    "no-access": "the system refuses to read it",
    "busy": "another program kept its mbox locked",
    "vanished": "it was moved away while it was read",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one feedback mail, as learning wrote it down."""

    message_id: str
    source: str
    label: str
    outcome: str
    reason: str
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Lines for people, and whether either witness knows the mail."""

    lines: list[str]
    known: bool


def by_message_id(settings: Settings, given: str) -> Answer:
    """All that is known of the mails with one Message-ID, brackets or not.

    Raises ``JournalError`` where index or receipts cannot be read.
    """
    message_id = identity.bare_id(given.encode("utf-8", "surrogateescape"))
    passages = seen.with_message_id(settings.journal.folder, message_id)
    return _answer(settings, message_id, f"<{_text(message_id)}>", passages)


def by_copy(settings: Settings, source: str, content: bytes) -> Answer:
    """The same for a copy of the mail, even if it was changed on its way to its owner."""
    passage = seen.find(settings.journal.folder, content)
    message_id = identity.message_id(content)
    return _answer(settings, message_id, source, [passage] if passage else [])


def _answer(settings: Settings, message_id: bytes, title: str, passages: list[Seen]) -> Answer:
    found = [
        receipt
        for receipt in receipts(settings.model.folder / RECEIPTS)
        if (message_id and receipt.message_id == _text(message_id)) or receipt.source == title
    ]
    told = [line for passage in passages for line in _passage(passage)]
    told = told or [_unknown(settings)]
    told += [_correction(receipt) for receipt in found] or [
        f"No correction: {settings.model.folder / RECEIPTS} has no receipt for it."
    ]
    lines = [title, *(f"  {line}" for line in told)]
    return Answer([printable(line) for line in lines], bool(passages or found))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _passage(seen: Seen) -> Iterator[str]:
    score = "" if seen.score is None else f", score {seen.score:.2f}"
    reason = f" ({seen.reason})" if seen.reason else ""
    yield f"{_when(seen.time)}  {seen.verdict}{reason}{score}, by model {seen.model}"
    if seen.score is not None:
        asks, offers = (", ".join(words) or "nothing" for words in (seen.asks, seen.offers))
        yield f"  asks for: {asks}; offers: {offers} (of what is in the lists)"
    yield f"  {_delivery(seen.reply)}; id={seen.id} in the log"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _delivery(code: int) -> str:
    if 200 <= code < 300:
        return f"handed on: the next hop answered {code}"
    if code:
        return f"not taken: the next hop answered {code}"
    return "the next hop gave no answer: it may have the mail, and the sender tries again"


def _unknown(settings: Settings) -> str:
    """Why the filter may not know a mail: an owner should not have to guess."""
    since = seen.oldest(settings.journal.folder)
    if since is None:
        return f"The filter: no mail is in its index, {settings.journal.folder.absolute()}."
    return f"The filter has not seen it since {_when(since)}, when its index begins."


def _correction(receipt: Receipt) -> str:
    sentence = _OUTCOMES.get(receipt.outcome, receipt.outcome)
    sentence = sentence.format(label=receipt.label or "?", model=receipt.model or "?")
    reason = _REASONS.get(receipt.reason, receipt.reason)
    because = f": {reason}" if reason else ""
    return f"Correction: {sentence}{because}. {receipt.source}"


def receipts(path: Path) -> Iterator[Receipt]:
    """The receipts in a file, in order; a line that is none is skipped, and the log says so.

    Raises ``JournalError`` where they cannot be read.
    """
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if receipt := _receipt(line):
                    yield receipt
                else:
                    log.warning("%s: line %d is no receipt; skipped", path, number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}; the receipts cannot be read") from error


def _receipt(line: bytes) -> Receipt | None:
    try:
        told = json.loads(line)
        return Receipt(**{name: str(told[name]) for name in Receipt.__slots__})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None

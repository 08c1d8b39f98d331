"""What passes between the stages of a correction: a mail to learn from, and what became of it.

``FeedbackMail`` is one mail of a feedback folder with the label that the rules gave it; ``Fate``
says what became of one, in words of two closed lists. Every mail of every folder has a fate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from training.spool import Kept, octets_of

#: What became of a mail. ``known`` mails add nothing: another copy of theirs stands for them.
Outcome = Literal["learned", "known", "refused", "withdrawn", "unreadable"]

#: Why, for all but ``learned``.
Reason = Literal[
    "",
    # known
    "duplicate",  # the same mail lies in a feedback folder once more
    "near-duplicate",  # nearly the same words as a mail that is learned
    # refused: the mail can be read, and is not learned
    "conflict",  # owners disagree about its label
    "quota-source",  # its owner has handed in more of this label than one may
    "quota-domain",  # its sender's domain is there more often than one may be
    "own-domain",  # filed as fake, and sent from a domain of one's own
    "several-parties",  # filed as fake, and of a conversation or a list
    "trusted-sender",  # filed as fake, and its sender is trusted by the settings
    "too-little-text",  # fewer words than the filter judges by
    "alone",  # filed as fake, and what the other mails teach speaks against it
    "gate",  # the candidate that learned it was worse than the model in use
    # withdrawn
    "trashed",  # marked as deleted by its owner
    "gone",  # it was there at an earlier retrain, and is there no more
    "vanished",  # it was there when the folder was listed, and not when it was to be read
    # unreadable
    "too-large",
    "not-a-mail",  # no header, or no text but octets of something else
    "not-a-file",  # a symlink, pipe, device or socket: never opened
    "no-access",  # the system refuses to read it
    "busy",  # an mbox that another program keeps locked
]

OUTCOMES: tuple[str, ...] = get_args(Outcome)
REASONS: tuple[str, ...] = get_args(Reason)


@dataclass(frozen=True, slots=True)
class FeedbackMail:
    """A mail with its label.

    ``key``: its identity, the SHA-256 (hex) of what all copies of it have in common.
    ``message_id``: without angle brackets, empty where there is none. ``label``: ``fake``,
    ``genuine`` or ``none``. ``owner``: the user whose folder it lies in, empty where there is one
    only. ``source``: its path (or ``mbox#n``), for people. ``moved``: Unix time at which it came
    into the folder, as far as known. ``octets``: the mail, unwrapped, without what the filter
    added, CRLF; or where that is put aside.
    """

    key: str
    message_id: str
    label: str
    owner: str
    source: str
    moved: float
    octets: bytes | Kept

    @property
    def content(self) -> bytes:
        """The mail."""
        return octets_of(self.octets)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one mail; ``model`` is the bundle that it went into, if learned.

    ``key`` and ``message_id`` are empty where the mail could not be read, ``label`` is the one it
    was filed under.
    """

    key: str
    message_id: str
    label: str
    source: str
    outcome: Outcome
    reason: Reason
    model: str = ""


@dataclass(frozen=True, slots=True)
class Collected:
    """What the folders hold: ``mails`` to learn in the order of their keys, and all ``fates``.

    A mail to learn has the fate ``learned`` with no model yet; ``receipts.settled`` puts it in.
    ``notes``: sentences for people on what looks like a mistake, such as a folder with no label.
    ``senders``: whose mail is believed less from now on (``feedback.senders``).
    """

    mails: list[FeedbackMail]
    fates: list[Fate]
    notes: list[str] = field(default_factory=list)
    senders: frozenset[str] = frozenset()

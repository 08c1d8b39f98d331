"""Every exception of ours, in one tree.

    CoopError                     told to people as one line, never as a traceback
    ├── SettingsError             the settings cannot be used; holds every fault found
    ├── BundleError               a model bundle cannot be opened, or is not what it says
    ├── JournalError              the index of seen mails, or the receipts, cannot be used
    ├── QuarantineError           a held mail cannot be listed, read, released or deleted
    │   ├── NotHeld               ... there is no such held mail (any more)
    │   └── Busy                  ... somebody else releases it just now
    ├── NoSuchName                DNS says that there is no such record   (milter.trust.dns)
    ├── DnsFault                  DNS could not say                       (milter.trust.dns)
    ├── StartError                the filter cannot start: port in use, folder not writable
    └── NextHopError              the next hop failed us; temporary, the sender tries again
        └── NextHopUnsure         ... after our final dot: it may have the mail already

Faults of ours or of the next hop's connection are temporary (4xx). A permanent refusal (5xx) is
the next hop's own, or answers what the sender did: a broken protocol, a mail that goes in circles.
"""

from __future__ import annotations

from collections.abc import Sequence


class CoopError(Exception):
    """The root: its text is written for the person who has to act on it."""


class SettingsError(CoopError):
    """Settings that cannot be used; ``faults`` has one sentence for each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class BundleError(CoopError):
    """A model bundle that is missing, damaged, or made for another version."""


class JournalError(CoopError):
    """The index of seen mails cannot be read or written at a start, or the receipts not read."""


class QuarantineError(CoopError):
    """Held mail cannot be listed, read, released or deleted."""


class NotHeld(QuarantineError):
    """No such mail is held, or not any more; the text says which."""


class Busy(QuarantineError):
    """Somebody else releases or deletes this mail just now."""


class StartError(CoopError):
    """Something outside the settings keeps the filter from starting."""


class NextHopError(CoopError):
    """The next hop cannot be reached, broke off or broke the protocol, before our final dot."""


class NextHopUnsure(NextHopError):
    """The next hop broke off between our final dot and its reply: it may have taken the mail."""

"""Which label a folder's name stands for, in every way that mail servers write such a name."""

from __future__ import annotations

import binascii
import re

from training.feedback.settings import FeedbackSettings, plain_name

# Modified UTF-7 (RFC 3501 section 5.1.3): what is no ASCII stands between & and -.
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")
# Endings that programs put behind a folder's name: mbox files, Thunderbird's subfolders.
_ENDINGS = (".mbox", ".mbx", ".sbd")


class Names:
    """The names of the label folders by the settings."""

    def __init__(self, settings: FeedbackSettings) -> None:
        self._labels = {
            plain_name(name): label for label, names in settings.names().items() for name in names
        }

    def label(self, name: str) -> str:
        """The label that a folder or mbox of this name stands for, or none: an empty text.

        Of a name with several steps, as Maildir++ has them, the first that is a label counts.
        """
        found = (self._labels.get(plain_name(step), "") for step in _steps(name))
        return next(filter(None, found), "")


def _steps(name: str) -> list[str]:
    """``fake`` of ``fake``, ``.fake``, ``INBOX.fake``, ``fake.mbox``; of ``.a.fake`` both."""
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    name = from_utf7(name)
    if name.startswith(".") or name.casefold().startswith("inbox."):
        return [step for step in name.split(".") if step]
    return [name]


def from_utf7(name: str) -> str:
    """A mailbox name as people read it; what is no modified UTF-7 stays as it is."""
    try:
        return _SHIFTED.sub(_letters, name)
    except ValueError:
        return name


def _letters(match: re.Match[str]) -> str:
    base64 = match[1].replace(",", "/")
    if not base64:
        return "&"
    return binascii.a2b_base64(base64 + "=" * (-len(base64) % 4)).decode("utf-16-be")

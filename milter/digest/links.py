"""Release links: whoever has one may release one held mail, until it expires, and nothing else.

A link's token names the item, its recipient and when it expires, and ends in an HMAC-SHA256 (RFC
2104) of these and of the purpose, under a key that never leaves this machine. The page must take
the mail out only after a press of a button: programs that follow the links of a mail on their own
would release it otherwise. That a link is used twice does no harm: a mail is released once.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from pathlib import Path

from milter import keys
from milter.errors import StartError

#: The name of the key's file in the folder [review] state.
KEY = "link-key"
_PURPOSE = b"coop-verdict release link, version 1"
_ITEM = re.compile(r"[0-9a-f]{16}")
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")
_MAC = 32  # octets of an HMAC-SHA256
_TIME = 6  # octets of a Unix time
_FOREVER = (1 << 8 * _TIME) - 1  # nine million years
_HEAD = 8 + _TIME  # octets in front of the recipient: item and time
# Octets of a recipient: RFC 5321 4.5.3.1.3 allows 256 for a path; those that write more get none.
_RECIPIENT = 512
# Nothing that is longer than the longest token is looked at: base64 makes 4 of 3.
_LONGEST = (_HEAD + _RECIPIENT + _MAC + 2) // 3 * 4


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says: whose item may be released, and until which Unix time."""

    item: str
    recipient: str
    expires: int


def fits(recipient: str) -> bool:
    """Whether a link can be made for a recipient."""
    return 0 < len(recipient.encode("utf-8", "surrogatepass")) <= _RECIPIENT


class Links:
    """Makes and reads tokens under ``key``."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == keys.SIZE
        self._key = key

    @classmethod
    def kept_in(cls, state: Path) -> Links:
        """With the key in the folder ``state``; made where there is none. Raises ``StartError``."""
        path = state / KEY
        try:
            if not (key := keys.existing(path)):
                state.mkdir(mode=0o700, parents=True, exist_ok=True)
                keys.make(path)
                key = keys.existing(path)
        except OSError as error:
            raise StartError(
                f"{path}: {error.strerror}. Give the folder to the user that the review page and "
                "the digest run as, or name another one under [review] state."
            ) from error
        except ValueError as error:
            raise StartError(
                f"{path}: {error}. Remove it: a new one is made, and links sent before are void."
            ) from error
        return cls(key)

    def make(self, item_id: str, recipient: str, expires: float) -> str:
        """A token, of letters, digits, ``-`` and ``_``. Raises ``ValueError`` for what fits none.

        ``recipient`` as ``Address.mailbox`` has it; ``expires``: Unix time.
        """
        if not _ITEM.fullmatch(item_id) or not fits(recipient):
            raise ValueError("no link can be made for this item or recipient")
        told = bytes.fromhex(item_id) + min(int(expires), _FOREVER).to_bytes(_TIME, "big")
        told += recipient.encode("utf-8", "surrogatepass")
        return urlsafe_b64encode(told + self._mac(told)).decode("ascii").rstrip("=")

    def read(self, text: str, now: float) -> Link | None:
        """What a token says; None where it is none of ours, was changed, or has expired."""
        octets = _octets(text)
        told, mac = octets[:-_MAC], octets[-_MAC:]
        if len(told) <= _HEAD or not hmac.compare_digest(mac, self._mac(told)):
            return None
        expires = int.from_bytes(told[8:_HEAD], "big")
        if now >= expires:
            return None
        return Link(told[:8].hex(), told[_HEAD:].decode("utf-8", "surrogatepass"), expires)

    def _mac(self, told: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + b"\0" + told, "sha256")


def _octets(text: str) -> bytes:
    """What ``text`` stands for; nothing where it is not exactly what ``make`` would write.

    Python's decoder skips what is not in the alphabet and ignores spare bits: then many texts
    would be the same token.
    """
    if len(text) > _LONGEST or len(text) % 4 == 1 or not _ALPHABET.fullmatch(text):
        return b""
    octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return octets if urlsafe_b64encode(octets).decode("ascii").rstrip("=") == text else b""

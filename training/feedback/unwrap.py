"""Mails that were forwarded as attachments: to be learned is what is inside, not the envelope."""

from __future__ import annotations

import re

from milter.mail import charset, mime
from milter.mail.folder import as_content
from milter.mail.html import MAX_HTML, to_text
from training.feedback.canonical import is_mail
from training.feedback.files import NotRead

# A forwarded mail that was forwarded. Deeper ones are somebody's game.
_DEPTH = 3
# Parts of an envelope; past that not all of them would be seen (``mime.MAX_PARTS``).
_MOST_PARTS = 50
_MAILS = (b"message/rfc822", b"message/global")
# Words around it: a note and a business signature. More is a letter that has a mail with it.
_MOST_WORDS = 80
# What else may be there: pictures of a signature, cards, the mail's own seal.
_BESIDE = re.compile(
    rb"text/|image/|application/(?:pgp-signature|(?:x-)?pkcs7-signature|pgp-keys)\Z"
)
# No mail without one of these can hold another as an attachment; looking for them is quick.
_MAY_HOLD = re.compile(rb"message/(?:rfc822|global)|\.eml\b", re.IGNORECASE)


def unwrapped(content: bytes, depth: int = _DEPTH) -> list[bytes]:
    """The mails that were forwarded with ``content``, or itself if it is no such envelope.

    Raises ``NotRead`` for an envelope with more mails than are looked at: none may be lost unseen.
    """
    if depth == 0 or not _MAY_HOLD.search(content):
        return [content]
    found = _attached(content)
    if not found:
        return [content]
    return [
        mail for inner in found for mail in unwrapped(inner, depth - 1 if len(found) == 1 else 0)
    ]


def _attached(content: bytes) -> list[bytes]:
    """The mails in an envelope; none if it is a mail with something of its own in it."""
    leaves = list(mime.leaves(content))
    mails = [leaf for leaf in leaves if _is_mail_part(leaf)]
    others = [leaf for leaf in leaves if not _is_mail_part(leaf)]
    if not mails or not all(_BESIDE.match(leaf.kind) for leaf in others):
        return []
    inner = [as_content(leaf.decoded()) for leaf in mails]
    if not all(map(is_mail, inner)) or _words(content) > _MOST_WORDS:
        return []
    if len(leaves) > _MOST_PARTS:
        raise NotRead("too-large")
    return inner


def _is_mail_part(leaf: mime.Leaf) -> bool:
    """Declared as a mail, or as anything whose file name says so."""
    return leaf.kind in _MAILS or (
        leaf.name.lower().endswith(b".eml") and not leaf.kind.startswith(b"image/")
    )


def _words(content: bytes) -> int:
    """Words that whoever forwarded wrote; of a text that is there twice the longer one counts."""
    counts = [0]
    for part in mime.text_parts(content):
        if not part.attached:
            text = charset.decode(part.octets, part.charset)
            text = to_text(text[:MAX_HTML], MAX_HTML).visible if part.html else text
            counts.append(len(text.split()))
    return max(counts)

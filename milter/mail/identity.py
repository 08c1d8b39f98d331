"""What a copy of a mail still has of the original: its Message-ID, and the words of its body.

Servers add header fields and blanks, wrap lines anew and quote ``From `` for an mbox. None of that
shows here, nor does any field of the filter's own.
"""

from __future__ import annotations

import re

from milter.mail import header
from milter.mail.mime import MAX_HEADER

# Octets of body that are looked at. Mails that agree in so much agree; what follows is attachments.
_LOOKED_AT = 65536
# Octets of folded body that are kept: fewer than were looked at, so that blanks which a server
# added or took away in the first _LOOKED_AT do not move the end.
_KEPT = 32768
# A folded body below this ("Thanks, see you on Monday.") is no mark of one mail.
_LEAST = 40

_ID = re.compile(rb"<([^<>]+)>")
_QUOTED_FROM = re.compile(rb"(?<= )>+(?=From )")  # as mbox files have it, once or more


def bare_id(value: bytes) -> bytes:
    """A Message-ID as it stands in its field or as people give it, without brackets and blanks."""
    bracketed = _ID.search(value)
    return b"".join((bracketed[1] if bracketed else value).split())


def message_id(content: bytes) -> bytes:
    """The first Message-ID in the header, without brackets; empty where there is none."""
    end, _ = header.body_range(content, 0, len(content))
    fields = header.fields(content[: min(end, MAX_HEADER)])
    return bare_id(next((value for name, value in fields if name == b"message-id"), b""))


def folded_body(content: bytes) -> bytes:
    """The beginning of the body with each run of blanks and line ends as one blank.

    Empty where it is too short to tell one mail from another. It is taken from the octets as they
    are: a body in another transfer encoding is another body.
    """
    _, start = header.body_range(content, 0, len(content))
    folded = b" " + b" ".join(content[start : start + _LOOKED_AT].split())
    if b">From " in folded:  # rare, and asked at a tenth of what looking behind each octet costs
        folded = _QUOTED_FROM.sub(b"", folded)
    folded = folded[1 : _KEPT + 1]
    return folded if len(folded) >= _LEAST else b""

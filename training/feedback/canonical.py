"""What all copies of one mail have in common: its content as it was sent, and its key.

The same mail comes to five people, through lists of aliases, by IMAP and by mbox, and each way
writes something on it. A key over the octets of the file would call these five mails; they would
count five times, and a mail that was moved from ``fake`` to ``none`` would be learned as both.
"""

from __future__ import annotations

import hashlib
import re

from milter.mail import header, identity
from milter.mail.text import unencoded

# What is written on a mail on its way and in its mailbox: it says nothing of who sent what.
_ON_THE_WAY = (
    rb"Received|Received-SPF|Return-Path|Delivered-To|X-Original-To|Envelope-To|Delivery-Date|"
    rb"X-Envelope-(?:From|To)|Authentication-Results|ARC-[!-9;-~]+|X-Spam-[!-9;-~]+|X-Spamd-[!-9;-~]+|"
    rb"X-Rspamd-[!-9;-~]+|X-Virus-Scanned|X-Sieve[!-9;-~]*|X-Dovecot-[!-9;-~]+|"
    rb"Status|X-Status|X-Keywords|X-UIDL?|X-IMAP|X-IMAPbase|Content-Length|Lines|"
    rb"X-Mozilla-(?:Status2?|Keys)|X-Evolution[!-9;-~]*|X-GM-[!-9;-~]+|X-Gmail-Labels"
)
_DELIVERY = re.compile(
    rb"^(?:" + _ON_THE_WAY + rb")[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*+", re.IGNORECASE | re.MULTILINE
)
_FROM_LINES = re.compile(rb"(?:>*From [^\n]*\n)++")
_SUBJECT = re.compile(
    rb"^(Subject[ \t]*:)([^\n]*\n(?:[ \t][^\n]*\n)*+)", re.IGNORECASE | re.MULTILINE
)
# The fields that a sender writes and nobody on the way changes. Not the ones on MIME: a server
# that encodes a body anew changes that, too.
_KEY_FIELDS = (b"from", b"to", b"subject", b"date", b"message-id")


def canonical(content: bytes, tag: str = "") -> bytes:
    """``content`` without what the filter, servers and mailboxes have written on it.

    ``tag`` is what stands before the subject of a judged mail, by the settings.
    """
    top = _FROM_LINES.match(content)
    content = header.without_ours(content[top.end() :] if top else content)
    end, _ = header.body_range(content, 0, len(content))
    head = _DELIVERY.sub(b"", content[:end])
    return (_without_tag(head, tag) if tag.strip() else head) + content[end:]


def _without_tag(head: bytes, tag: str) -> bytes:
    """A header whose subject has the tag no more, however often and in whatever encoding."""
    found = _SUBJECT.search(head)
    if not found:
        return head
    value = b" ".join(found[2].split())
    cut = _behind(unencoded(value), tag.strip())
    if cut is None:
        return head
    written = _behind(value.decode("latin-1"), tag.strip())
    octets = cut.encode(errors="replace") if written is None else written.encode("latin-1")
    return head[: found.start()] + found[1] + b" " + octets + b"\r\n" + head[found.end() :]


def _behind(text: str, tag: str) -> str | None:
    """What stands behind one or more tags; None where there is none."""
    rest = text.lstrip()
    while rest[: len(tag)].casefold() == tag.casefold():
        rest = rest[len(tag) :].lstrip()
    return None if rest == text.lstrip() else rest


def key(content: bytes) -> str:
    """The identity of a mail (SHA-256, hex), the same for all its copies.

    ``content`` is canonical. Counted are From, To, Subject, Date and Message-ID with blanks and
    folding made equal, and the octets of the body up to its last line with a letter in it: an mbox
    and a forwarding client add or cut empty lines at the end.
    """
    end, body = header.body_range(content, 0, len(content))
    first: dict[bytes, bytes] = {}
    for name, value in header.fields(content[:end]):
        first.setdefault(name, value)
    digest = hashlib.sha256()
    for name in _KEY_FIELDS:
        value = first.get(name, b"")
        value = (
            unencoded(value[:2000]).encode(errors="backslashreplace")
            if name == b"subject"
            else value
        )
        digest.update(name + b":" + b" ".join(value.split()) + b"\n")
    digest.update(content[body:].rstrip())
    return digest.hexdigest()


def message_id(content: bytes) -> str:
    """The Message-ID without brackets, empty where there is none."""
    return identity.message_id(content).decode("utf-8", "backslashreplace")


def is_mail(content: bytes) -> bool:
    """Whether octets begin with a mail's header: one field at least that senders write."""
    end, _ = header.body_range(content, 0, len(content))
    return any(name in _KEY_FIELDS for name, _ in header.fields(content[:end]))

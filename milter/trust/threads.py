"""Follow-ups: by what a mail says which one it chases up (RFC 5322 3.6.4).

A follow-up to a fake is often too short to be judged ("Did you see my mail below?"). It is one too
if the same author says that it belongs to a mail that was called fake: by In-Reply-To, References,
or a subject that begins with "Re:" and goes on as that one did.

It keeps a verdict of its own where that is ``genuine``, or ``none`` without a doubt: the model had
enough to go on, and if it was wrong about the first mail, one error should not make two. Nor should
a stranger who writes a fake in somebody's name make theirs of all that they answer. An answer by
somebody else says nothing of who wrote it: people do answer fakes.
"""

from __future__ import annotations

import re
from functools import cached_property

from milter.mail import header
from milter.mail.identity import bare_id
from milter.mail.text import unencoded
from milter.spam.verdict import Judgement, Reason, Verdict

# Ids that are looked at, of In-Reply-To and the last of References: each costs a look-up.
_MOST_REPLIED = 5
_MOST_REFERENCES = 10
_LONGEST_FIELD = 16384
_READ = frozenset({b"message-id", b"in-reply-to", b"references", b"subject"})
_ID = re.compile(rb"<[^<>\s]{3,998}>")
_LONGEST_SUBJECT = 2000
# What clients put before the subject of an answer, in the languages of the corpus.
_REPLY = re.compile(
    r"\s*(?:(?:re|r|aw|antw|antwort|wg|fw|fwd|sv|vs|rv|tr|rif|odp|pd)(?:\[\d{1,3}\])?\s?:\s*)+",
    re.IGNORECASE,
)
# Letters and words of a subject that is one mail's own. "Re: Hello" could be anybody's.
_LEAST_LETTERS = 12
_LEAST_WORDS = 3

# Probability of fake below which a mail is none without a doubt. Follow-ups have words of pitches
# ("did you see my mail?") and 0.3 or more, letters and invoices less than 0.02.
_DOUBT = 0.05


class Links:
    """What one mail's header has to say of threads."""

    def __init__(self, head: bytes) -> None:
        end, _ = header.body_range(head, 0, len(head))
        self._fields: dict[bytes, bytes] = {}
        for name, value in header.fields(head[:end]):
            if name in _READ:
                self._fields.setdefault(name, value[-_LONGEST_FIELD:])

    @property
    def own(self) -> list[bytes]:
        """The mail's own Message-ID, without brackets; none where it has none."""
        message_id = bare_id(self._fields.get(b"message-id", b""))
        return [message_id] if message_id else []

    @property
    def earlier(self) -> list[bytes]:
        """The Message-IDs of the mails that it belongs to, without brackets."""
        replied = _ID.findall(self._fields.get(b"in-reply-to", b""))[:_MOST_REPLIED]
        references = _ID.findall(self._fields.get(b"references", b""))[-_MOST_REFERENCES:]
        return [bare_id(one) for one in dict.fromkeys(replied + references)]

    @property
    def topic(self) -> str:
        """The subject without "Re:", in small letters; empty where it is too common."""
        subject = _REPLY.sub("", self._subject, count=1)
        words = subject.casefold().split()
        topic = " ".join(words)
        return topic if len(words) >= _LEAST_WORDS and len(topic) >= _LEAST_LETTERS else ""

    @property
    def earlier_topic(self) -> str:
        """The same where the subject says that it is an answer, empty where it does not."""
        field = self._fields.get(b"subject", b"")
        if b":" not in field and b"=?" not in field:
            return ""  # nor would it be one decoded, which takes longer than all else here
        return self.topic if _REPLY.match(self._subject) else ""

    @cached_property
    def _subject(self) -> str:
        return unencoded(self._fields.get(b"subject", b"")[:_LONGEST_SUBJECT])


def inherits(judgement: Judgement) -> bool:
    """Whether a mail that was judged so may have the verdict of its thread."""
    if judgement.verdict is Verdict.NONE and judgement.score:
        return judgement.score.fake >= _DOUBT
    return judgement.verdict is Verdict.UNSURE or judgement.reason is Reason.TOO_LITTLE_TEXT


def leaves_trace(judgement: Judgement) -> bool:
    """Whether follow-ups may inherit from a mail that was judged so.

    Not where its sender was refused: what they send is fake anyway, until they are let in again.
    """
    return judgement.verdict is Verdict.FAKE and judgement.reason is not Reason.REFUSED_SENDER

"""What is known of a mail's sender, weighed against the verdict on its words.

In this order: a refused sender's mail is fake; an allowed one's is not judged, if a signature shows
that it is theirs; a follow-up has the verdict of the fake that it chases up; and what is fake by
its words or its thread is unsure where a known correspondent wrote it, unless a bad signature says
that it was somebody else. A pitch from a stranger and a mail from somebody whom one has written to
are different things; whoever wants no more mail from there refuses the sender.

Nothing here stops a mail or raises on account of one, and no address gets into the log.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from milter import sections
from milter.config import Settings
from milter.mail import header
from milter.mail.author import author, normalised
from milter.smtp.content import Content
from milter.smtp.envelope import Envelope
from milter.spam.verdict import Judgement, Reason, Verdict
from milter.trust import correspondents, threads
from milter.trust.memory import Memory
from milter.trust.outcome import Dkim
from milter.trust.senders import Senders, Standing

if TYPE_CHECKING:
    from milter.trust.dns import Resolver

# Octets of a mail whose signature is checked: it has to be read whole. Postfix takes 10240000 by
# default.
_SIGNED = 10 << 20


class Trust:
    """Knows senders.

    ``resolver``: None where no signature is ever checked; ``threads``, ``outgoing``: whether
    follow-ups inherit, and whether correspondents are known; ``authserv_id``: whose
    Authentication-Results are believed (empty: nobody's).
    """

    def __init__(
        self,
        senders: Senders,
        memory: Memory,
        resolver: Resolver | None,
        *,
        threads: bool = True,
        outgoing: bool = True,
        authserv_id: str = "",
    ) -> None:
        self._senders = senders
        self._memory = memory
        self._resolver = resolver
        self._threads = threads
        self._outgoing = outgoing
        self._authserv_id = authserv_id

    async def weigh(
        self, head: bytes, content: Content, envelope: Envelope, judgement: Judgement
    ) -> Judgement:
        """``judgement``, or what becomes of it. ``head``: how the content begins."""
        earlier = self._earlier(head, judgement)
        if not self._senders and not earlier and judgement.verdict is not Verdict.FAKE:
            return judgement  # nearly all mail: whoever wrote it, nothing would come of it
        mailbox = _author(head, content)
        standing = self._senders.standing(mailbox)
        sender = self._senders.standing(normalised(envelope.sender.mailbox))
        if Standing.REFUSED in (standing, sender):
            return replace(judgement, verdict=Verdict.FAKE, reason=Reason.REFUSED_SENDER)
        if not mailbox:
            return judgement
        if standing is Standing.ALLOWED and await self._is_theirs(head, content, mailbox):
            return Judgement(Verdict.UNSCORED, judgement.model, reason=Reason.TRUSTED_SENDER)
        if earlier and self._memory.called_fake(*earlier, mailbox):
            judgement = replace(judgement, verdict=Verdict.FAKE, reason=Reason.THREAD)
        if judgement.verdict is Verdict.FAKE and await self._is_known(content, mailbox):
            judgement = replace(judgement, verdict=Verdict.UNSURE, reason=Reason.CORRESPONDENT)
        return judgement

    def remember(self, head: bytes, judgement: Judgement) -> None:
        """Keep what follow-ups of a fake are known by. Never raises."""
        if not self._threads or not threads.leaves_trace(judgement):
            return
        if mailbox := author(head):
            links = threads.Links(head)
            score = judgement.score.fake if judgement.score else None
            self._memory.call_fake(links.own, links.topic, mailbox, score)

    def forget(self, head: bytes) -> None:
        """The mail was no fake after all: follow-ups of it are none either. Never raises.

        Nor is what it chases up itself: or the next of its thread would be held for that again.
        """
        mailbox = author(head)
        if self._threads and mailbox:
            links = threads.Links(head)
            self._memory.forget_fake(links.own + links.earlier, links.topic, mailbox)

    def wrote_to(self, head: bytes, envelope: Envelope) -> None:
        """Learn whom an outgoing mail goes to. Never raises."""
        mailboxes = correspondents.recipients(head, envelope)
        if self._outgoing and mailboxes:
            self._memory.learn(mailboxes)

    def close(self) -> None:
        """Close the files."""
        self._memory.close()

    async def _is_theirs(self, head: bytes, content: Content, mailbox: str) -> bool:
        """Whether a signature shows that the mail is its author's."""
        domain = mailbox.rpartition("@")[2]
        if self._authserv_id and _passed_before(head, self._authserv_id, domain):
            return True
        return await self._signature(content, domain) is Dkim.PASS

    async def _is_known(self, content: Content, mailbox: str) -> bool:
        """Whether the author is a correspondent, and nothing shows that it is somebody else."""
        if not self._outgoing or not self._memory.knows(mailbox):
            return False
        return await self._signature(content, mailbox.rpartition("@")[2]) is not Dkim.FAIL

    async def _signature(self, content: Content, domain: str) -> Dkim:
        if not self._resolver or content.size > _SIGNED:
            return Dkim.UNKNOWN
        from milter.trust.dkim import check

        signed = await check(content.head(content.size), domain, self._resolver)
        return signed.outcome

    def _earlier(self, head: bytes, judgement: Judgement) -> tuple[list[bytes], str] | None:
        """What the mail chases up, as far as its verdict could hang on that."""
        if not self._threads or not threads.inherits(judgement):
            return None
        links = threads.Links(head)
        earlier, topic = links.earlier, links.earlier_topic
        return (earlier, topic) if earlier or topic else None


def build(settings: Settings) -> Trust | None:
    """What the settings ask for; None where that is nothing.

    Raises ``StartError`` where signatures are to be checked and there is no name server to ask.
    """
    wanted = settings.trust
    if not (wanted.allowed or wanted.refused or wanted.threads or wanted.outgoing):
        return None
    after_queue = settings.filter.arrangement == "after-queue"
    return Trust(
        Senders(wanted.allowed, wanted.refused),
        Memory(wanted.folder),
        _resolver(wanted) if wanted.allowed or wanted.outgoing else None,
        threads=wanted.threads,
        outgoing=bool(wanted.outgoing),
        authserv_id=wanted.authserv_id if after_queue else "",
    )


def forget(settings: Settings, head: bytes) -> None:
    """``Trust.forget`` for who has no filter at hand: the page and the commands."""
    if settings.trust.threads:
        trust = Trust(Senders((), ()), Memory(settings.trust.folder), None)
        trust.forget(head)
        trust.close()


def _resolver(wanted: sections.Trust) -> Resolver:
    """Who asks for keys. Loaded only where signatures are checked: it takes 8 MB and 90 ms."""
    from milter.trust import dkim  # noqa: F401 - now, not while the first mail waits
    from milter.trust.dns import Resolver

    return Resolver(wanted.nameservers, wanted.dns_deadline)


def _passed_before(head: bytes, authserv_id: str, domain: str) -> bool:
    from milter.trust import results

    return results.passed(head, authserv_id, domain)


def _author(head: bytes, content: Content) -> str | None:
    """The author, if ``head`` has the whole header: another From could be in what it lacks."""
    whole = header.end_of_header(head) < len(head) or len(head) == content.size
    return author(head) if whole else None

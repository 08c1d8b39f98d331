"""What keeps one owner, one sender or one slip of the hand from turning the filter.

The guards look at a mail and at what lies beside it now, never at what came first: whoever hands
in mails by the thousand pushes nobody else's out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from milter.mail.sites import site
from training.feedback.candidate import Candidate, belongs, parties
from training.feedback.labels import Kept
from training.feedback.mails import Reason
from training.feedback.settings import FeedbackSettings

# A conversation between two has two sides; with a third one it is no pitch to its reader.
_TWO_SIDES = 2


def not_as_fake(candidates: Sequence[Candidate], settings: FeedbackSettings, force: bool) -> Kept:
    """Without the mails that are filed as ``fake`` and must not be learned as that.

    A pitch from one's own domain, within a conversation or from a list is rarely one; the filter
    would learn how one's own people write. ``force``: the admin has looked at them. A trusted
    sender stays trusted even then.
    """
    kept, fates = [], []
    for candidate in candidates:
        reason = _forbidden(candidate, settings, force) if candidate.mail.label == "fake" else ""
        if reason:
            fates.append(candidate.fate("refused", reason))
        else:
            kept.append(candidate)
    return kept, fates


def _forbidden(candidate: Candidate, settings: FeedbackSettings, force: bool) -> Reason:
    who = parties(candidate.mail.content)
    if belongs(who.sender, settings.trusted_senders):
        return "trusted-sender"
    if force:
        return ""
    if belongs(who.sender, settings.own_domains):
        return "own-domain"
    if who.listed or (who.answer and len(who.sites) > _TWO_SIDES):
        return "several-parties"
    return ""


def within_quotas(
    candidates: Sequence[Candidate], settings: FeedbackSettings, base: Mapping[str, int]
) -> Kept:
    """Without the mails that are too many of one sender's domain or of one owner, by label.

    ``base``: mails of each label in the base corpus. Of an owner the newest count: a correction of
    today must not be lost to last year's. Of a domain each owner's newest come before anybody's
    second: so nobody is pushed out. Each mail has a key of its own.
    """
    source = {c.mail.key: _source(c, settings) for c in candidates}
    kept, more = _first(
        _in_turns(candidates, source),
        lambda c: (c.mail.label, source[c.mail.key]),
        lambda label: settings.domain_quota,
    )
    fates = [candidate.fate("refused", "quota-domain") for candidate in more]
    kept, more = _first(
        sorted(kept, key=_newest),
        lambda c: (c.mail.label, c.mail.owner),
        lambda label: _owner_quota(settings, base.get(label)),
    )
    return kept, fates + [candidate.fate("refused", "quota-source") for candidate in more]


def _newest(candidate: Candidate) -> tuple[float, str]:
    return -candidate.mail.moved, candidate.mail.key


def _owner_quota(settings: FeedbackSettings, base: int | None) -> int:
    """Mails of a label that one owner can have; one at least, however small the base is."""
    if base is None:
        return settings.owner_quota
    return min(settings.owner_quota, max(1, int(settings.owner_share * base)))


def _source(candidate: Candidate, settings: FeedbackSettings) -> str:
    """What a sender is counted by: the domain, or the address where domains are shared."""
    who = parties(candidate.mail.content)
    return who.sender if belongs(who.sender, settings.shared_domains) else site(who.domain)


def _in_turns(candidates: Sequence[Candidate], source: Mapping[str, str]) -> list[Candidate]:
    """The newest of every owner first, then everybody's second, and so on; by source and label."""
    seen: Counter[tuple[str, str, str]] = Counter()
    turns = []
    for candidate in sorted(candidates, key=_newest):
        mail = candidate.mail
        whose = (mail.owner, mail.label, source[mail.key])
        turns.append((seen[whose], mail.key, candidate))
        seen[whose] += 1
    return [candidate for _, _, candidate in sorted(turns, key=lambda turn: turn[:2])]


def _first(
    candidates: Sequence[Candidate],
    group: Callable[[Candidate], tuple[str, str]],
    quota: Callable[[str], int],
) -> tuple[list[Candidate], list[Candidate]]:
    """The first ones of each group (its label, something else), and the rest."""
    count: Counter[tuple[str, str]] = Counter()
    kept: list[Candidate] = []
    rest: list[Candidate] = []
    for candidate in candidates:
        where = group(candidate)
        count[where] += 1
        (kept if count[where] <= quota(where[0]) else rest).append(candidate)
    return kept, rest

"""From feedback folders to the mails to learn from: the route of a correction, up to the learner.

1. ``folders``: every mail in a folder that is named for a label.
2. ``unwrap``, ``canonical``: the mail that was meant, without what was written on it on its way.
3. ``labels.last_word``: one label of each owner.
4. ``guards.not_as_fake``: what must not be learned as fake.
5. ``labels.agreed``: one of nearly equal mails, under one label of all owners.
6. ``guards.within_quotas``: not too much of one owner or one sender.

Nothing is remembered from one time to the next, and nothing depends on the order of a folder: what
is there is all there is. So a mail that is taken out is forgotten as if it had never been there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from milter.mail.folder import as_content
from milter.mail.text import read_text
from training.data import Example
from training.feedback import guards, labels, near
from training.feedback.candidate import Candidate
from training.feedback.canonical import canonical, is_mail, key, message_id
from training.feedback.files import NotRead
from training.feedback.folders import Filed, scan
from training.feedback.mails import Collected, Fate, FeedbackMail
from training.feedback.senders import senders_of_pitches
from training.feedback.settings import FeedbackSettings
from training.feedback.unwrap import unwrapped
from training.spool import Spool

# Words (subject and body) below which the filter judges no mail: nothing can be learned from it.
_TOO_LITTLE = 4
_WORD = re.compile(r"\w+")


def collect(
    folders: Sequence[Path],
    settings: FeedbackSettings,
    *,
    force: bool = False,
    base: Sequence[Example] = (),
    progress: Callable[[int], None] | None = None,
) -> Collected:
    """Read ``folders`` and apply all rules; every mail in them gets a fate.

    ``force``: learn as fake what comes from an own domain or has several parties. ``base``: the
    base corpus, which the quota of an owner depends on. ``progress`` hears of
    mails read. Raises ``FeedbackError`` where a folder is missing.
    """
    notes: list[str] = []
    base_counts = Counter(example.label for example in base)
    candidates, fates = _read(scan(folders, settings, notes), settings, progress)
    candidates, refused = labels.last_word(candidates)
    fates += refused
    filed = candidates
    candidates, refused = guards.not_as_fake(candidates, settings, force)
    fates += refused
    senders = senders_of_pitches(filed, candidates, settings)
    candidates, refused = labels.agreed(candidates, settings.near_duplicate)
    fates += refused
    candidates, refused = guards.within_quotas(candidates, settings, base_counts)
    fates += refused + [candidate.fate("learned") for candidate in candidates]
    return Collected(
        sorted((candidate.mail for candidate in candidates), key=lambda mail: mail.key),
        sorted(fates, key=lambda fate: (fate.source, fate.key)),
        notes,
        senders,
    )


def _read(
    found: Iterator[Filed | Fate],
    settings: FeedbackSettings,
    progress: Callable[[int], None] | None,
) -> tuple[list[Candidate], list[Fate]]:
    candidates, fates, spool = [], [], Spool()
    for number, filed in enumerate(found, 1):
        read = [filed] if isinstance(filed, Fate) else _mails(filed, settings, spool)
        for result in read:
            if isinstance(result, Fate):
                fates.append(result)
            else:
                candidates.append(result)
        if progress:
            progress(number)
    return candidates, fates


def _mails(filed: Filed, settings: FeedbackSettings, spool: Spool) -> list[Candidate | Fate]:
    """The mails of one file: more than one where several were forwarded with it."""
    content = as_content(filed.octets)
    if not is_mail(content):
        return [Fate("", "", filed.label, filed.source, "unreadable", "not-a-mail")]
    try:
        inner = unwrapped(content)
    except NotRead as refused:
        return [Fate("", "", filed.label, filed.source, "unreadable", refused.reason)]
    sources = [filed.source]
    if len(inner) > 1:
        sources = [f"{filed.source}/{number}" for number in range(1, len(inner) + 1)]
    return [
        _mail(filed, source, canonical(mail, settings.subject_tag), spool)
        for source, mail in zip(sources, inner, strict=True)
    ]


def _mail(filed: Filed, source: str, content: bytes, spool: Spool) -> Candidate | Fate:
    text = read_text(content)
    mail = FeedbackMail(
        key=key(content),
        message_id=message_id(content),
        label=filed.label,
        owner=filed.owner,
        source=source,
        moved=filed.moved,
        octets=spool.keep(content),
    )
    candidate = Candidate(mail, spool.keep(near.shingles(text).tobytes()), text.sender)
    if filed.trashed:
        return candidate.fate("withdrawn", "trashed")
    if not text.readable:
        return candidate.fate("unreadable", "not-a-mail")
    if len(_WORD.findall(text.subject)) + len(_WORD.findall(text.body)) < _TOO_LITTLE:
        return candidate.fate("refused", "too-little-text")
    return candidate

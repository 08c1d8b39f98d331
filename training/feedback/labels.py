"""One label a mail: the owner's last word, and a vote where several owners filed the same one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from training.feedback.candidate import Candidate
from training.feedback.mails import Fate, Reason
from training.feedback.near import leaders

# A label needs so many times the owners that all other labels have together.
_MAJORITY = 2
# Between two at the very same time the one that can do less harm counts.
_HARMLESS_FIRST = ("none", "genuine", "fake")

Kept = tuple[list[Candidate], list[Fate]]


def last_word(candidates: Sequence[Candidate]) -> Kept:
    """Of the copies of a mail in one owner's folders the one that was filed last."""
    kept, fates = [], []
    for copies in _grouped(candidates, lambda c: (c.mail.owner, c.mail.key)):
        last, *others = sorted(copies, key=_latest)
        kept.append(last)
        fates += [other.fate("known", "duplicate") for other in others]
    return kept, fates


def _latest(candidate: Candidate) -> tuple[float, int, str]:
    mail = candidate.mail
    return -mail.moved, _HARMLESS_FIRST.index(mail.label), mail.source


def agreed(candidates: Sequence[Candidate], threshold: float) -> Kept:
    """Of mails that are the same or nearly so, one, under the label that their owners agree on.

    Each owner has one vote, by the last word. Without a label that has twice as many owners as all
    others together, none of these mails is learned: somebody is mistaken, and nobody can tell who.
    Nearly the same counts as the same here; otherwise one text would be learned under two labels.
    """
    by_key = {candidate.mail.key: candidate for candidate in candidates}
    leader = leaders(by_key, lambda key: by_key[key].shingles, threshold)
    kept, fates = [], []
    for siblings in _grouped(candidates, lambda c: (leader[c.mail.key],)):
        words = {c.mail.owner: c.mail.label for c in sorted(siblings, key=_latest, reverse=True)}
        label = _winner(list(words.values()))
        if not label:
            fates += [sibling.fate("refused", "conflict") for sibling in siblings]
            continue
        heard = [c for c in siblings if c.mail.label == label == words[c.mail.owner]]
        one = min(heard, key=lambda c: (c.mail.key, c.mail.owner))
        kept.append(one)
        fates += [_other(c, one, words[c.mail.owner] == label) for c in siblings if c is not one]
    return kept, fates


def _winner(votes: Sequence[str]) -> str:
    """The label that enough owners gave; empty where there is none."""
    label, most = Counter(votes).most_common(1)[0]
    return label if most >= _MAJORITY * (len(votes) - most) else ""


def _other(candidate: Candidate, learned: Candidate, agrees: bool) -> Fate:
    """The fate of a mail for which another one is learned."""
    if not agrees:
        return candidate.fate("refused", "conflict")
    same = candidate.mail.key == learned.mail.key
    reason: Reason = "duplicate" if same else "near-duplicate"
    return candidate.fate("known", reason)


def _grouped(
    candidates: Iterable[Candidate], group: Callable[[Candidate], tuple[str, ...]]
) -> list[list[Candidate]]:
    found: defaultdict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        found[group(candidate)].append(candidate)
    return list(found.values())

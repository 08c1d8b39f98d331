"""The mailbox against what the senders were told: what was lost, damaged, or came twice."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.soak_send import Mail, Outcome, digest

_RETURN_PATH = re.compile(rb"^Return-Path: <soak-(\d+)-(\d+)@", re.MULTILINE)
_QUEUE_ID = re.compile(rb"\(Postfix\) with \S+ id (\w+)")
_ID = re.compile(rb"^X-Soak-Id: (\d+)$", re.MULTILINE)
_DIGEST = re.compile(rb"^X-Soak-Digest: (\w+)$", re.MULTILINE)
_VERDICT = re.compile(rb"^X-Coop-Verdict[ \t]*:", re.MULTILINE | re.IGNORECASE)
_TWICE_BY_POSTFIX = "one queue file delivered twice by Postfix"


# Only these may leave a copy in the mailbox. A PUT_OFF that arrives was a false reply.
_MAY_ARRIVE = {Outcome.ACCEPTED, Outcome.NO_REPLY, Outcome.UNSURE}
#: How a mail's last attempt ends: nothing of it is tried again.
SETTLED = {Outcome.ACCEPTED, Outcome.REFUSED}


@dataclass(frozen=True)
class Copy:
    """One file in the mailbox: by which attempt it came, under which queue id, how it looks."""

    number: int
    attempt: int
    queue_id: bytes
    intact: bool
    verdicts: int

    @classmethod
    def read(cls, octets: bytes) -> Copy:
        """Raises ValueError where it is none of our mails."""
        head, _, body = octets.partition(b"\n\n")
        path, queue_id = _RETURN_PATH.search(head), _QUEUE_ID.search(head)
        if not path or not queue_id:
            raise ValueError(f"a mail of unknown origin: {head[:200]!r}")
        intact = _ID.findall(head) == [path[1]]
        intact &= _DIGEST.findall(head) == [digest(body).encode()]
        verdicts = len(_VERDICT.findall(head))
        return cls(int(path[1]), int(path[2]), queue_id[1], intact, verdicts)


@dataclass
class Findings:
    """What the mailbox shows. ``faults`` has a line for each thing that must not be."""

    lost: int = 0
    damaged: int = 0
    duplicates: Counter[str] = field(default_factory=Counter)
    unexplained: int = 0
    faults: list[str] = field(default_factory=list)


def check(mails: Sequence[Mail], mailbox: Iterable[bytes]) -> Findings:
    """Hold what arrived against what the senders were told."""
    findings = Findings()
    copies: defaultdict[tuple[int, int], list[Copy]] = defaultdict(list)
    for octets in mailbox:
        copy = Copy.read(octets)
        copies[copy.number, copy.attempt].append(copy)
        _check_copy(copy, findings)
    for mail in mails:
        if not SETTLED.intersection(mail.outcomes):
            findings.faults.append(f"mail {mail.number}: never accepted")
        for number, outcome in enumerate(mail.outcomes):
            name = f"mail {mail.number}, attempt {number} ({outcome})"
            _check_attempt(name, outcome, copies[mail.number, number], findings)
    return findings


def _check_copy(copy: Copy, findings: Findings) -> None:
    name = f"mail {copy.number}, attempt {copy.attempt}"
    if not copy.intact:
        findings.damaged += 1
        findings.faults.append(f"{name}: damaged")
    if copy.verdicts != 1:
        findings.faults.append(f"{name}: {copy.verdicts} X-Coop-Verdict")


def _check_attempt(name: str, outcome: Outcome, copies: list[Copy], findings: Findings) -> None:
    if outcome is Outcome.REFUSED:
        findings.faults.append(f"{name}: refused")
    if outcome is Outcome.ACCEPTED and not copies:
        findings.lost += 1
        findings.faults.append(f"{name}: lost")
    if copies and outcome not in _MAY_ARRIVE:
        findings.unexplained += 1
        findings.faults.append(f"{name}: arrived all the same")
    elif copies and outcome is not Outcome.ACCEPTED:
        findings.duplicates[outcome] += 1
    _check_twice(name, copies, findings)


def _check_twice(name: str, copies: list[Copy], findings: Findings) -> None:
    """Several copies by one attempt: never the filter's right, but Postfix's.

    A virtual(8) that is killed between storing a mail and striking it off its queue file does
    both again later. Then the copies have one queue id.
    """
    again = len(copies) - 1
    if again > 0 and len({copy.queue_id for copy in copies}) == 1:
        findings.duplicates[_TWICE_BY_POSTFIX] += again
    elif again > 0:
        findings.unexplained += again
        findings.faults.append(f"{name}: {len(copies)} mails by one attempt")

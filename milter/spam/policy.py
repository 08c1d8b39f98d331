"""From a verdict and a recipient's wish to an action: the third step, pure like the first two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from milter.spam.action import Action
from milter.spam.verdict import Judgement, Verdict


class Wish(StrEnum):
    """What a recipient wants to be done with judged mail."""

    TAG = "tag"
    TAG_SUBJECT = "tag-subject"
    QUARANTINE = "quarantine"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Policy:
    """The wishes: of single recipients (mailboxes) before those of their domain, else ``default``.

    In ``shadow`` nothing is done to any mail.
    """

    default: Wish = Wish.TAG
    named: Mapping[str, Wish] = field(default_factory=dict)
    shadow: bool = False

    def wish_of(self, mailbox: str) -> Wish:
        """What the recipient wants: the words of the settings, nothing guessed."""
        domain = mailbox.rpartition("@")[2]
        return self.named.get(mailbox) or self.named.get(domain) or self.default

    @property
    def may_hold(self) -> bool:
        """Whether a mail may have to be held: for its recipient, or because wishes differ."""
        wishes = {self.default, *self.named.values()}
        return not self.shadow and (Wish.QUARANTINE in wishes or len(wishes) > 1)

    @property
    def wants_quarantine(self) -> bool:
        """Whether anybody has asked for it."""
        return Wish.QUARANTINE in {self.default, *self.named.values()}


def action_for(judgement: Judgement, wish: Wish, armed: bool) -> Action:
    """What is done with a mail for one recipient.

    Only a fake is ever held or has its subject marked, and held only where quarantine is
    ``armed``: all else that is asked for more than a tag is tagged.
    """
    fake = judgement.verdict is Verdict.FAKE
    match wish:
        case Wish.NOTHING:
            return Action.NOTHING
        case Wish.TAG_SUBJECT if fake:
            return Action.TAG_SUBJECT
        case Wish.QUARANTINE if fake and armed:
            return Action.QUARANTINE
        case _:
            return Action.TAG


def plan(
    judgement: Judgement, mailboxes: Iterable[str], policy: Policy, armed: bool
) -> dict[Action, list[int]]:
    """The recipients, by their place in ``mailboxes``, by what is done with the mail for each."""
    found: dict[Action, list[int]] = {}
    for place, mailbox in enumerate(mailboxes):
        action = action_for(judgement, policy.wish_of(mailbox), armed)
        found.setdefault(action, []).append(place)
    return found

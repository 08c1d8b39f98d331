"""Whose mail the owners have filed as pitches.

Nothing that a mail says of its sender is verified, so whoever might be written in the name of has
to be spared: those whom the settings name, and those of whom any mail at all is filed as wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

from milter.mail.sites import sender_of, site
from milter.spam.features import sender_id
from training.feedback.candidate import Candidate, parties
from training.feedback.settings import FeedbackSettings


def senders_of_pitches(
    filed: Sequence[Candidate], pitches: Sequence[Candidate], settings: FeedbackSettings
) -> frozenset[str]:
    """The senders of ``pitches`` but for spared ones. ``filed``: all mails, by the last word."""
    wanted = {sender_id(mail.sender) for mail in filed if mail.mail.label != "fake"}
    spared = _named(settings)
    return frozenset(
        mail.sender
        for mail in pitches
        if mail.mail.label == "fake"
        and mail.sender
        and mail.sender not in spared
        and sender_id(mail.sender) not in wanted
        and not _is_own(mail, settings)
    )


def _named(settings: FeedbackSettings) -> frozenset[str]:
    """The sites and addresses of which the settings say that they are no pitch's."""
    names = (*settings.own_domains, *settings.trusted_senders, *settings.shared_domains)
    addresses = [name.strip().lower() for name in names]
    sites = {site(address.rpartition("@")[2]) for address in addresses}
    return frozenset(sites | {sender_of(address) for address in addresses if "@" in address})


def _is_own(mail: Candidate, settings: FeedbackSettings) -> bool:
    """Whether a pitch seems to come from the site that it goes to, as from a form there.

    Where the settings say which domains are one's own, nobody's To field does.
    """
    return not settings.own_domains and mail.sender in parties(mail.mail.content).recipients

"""What has been said of a held mail: its copy, and what was learned of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from milter import why
from milter.config import Settings
from milter.errors import JournalError
from milter.quarantine.item import Item
from milter.quarantine.names import folder_name
from milter.spam.bundle import LABELS
from milter.why import Receipt

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Filed:
    """``label`` and ``path`` of the copy; ``receipt`` of the last retrain, where it has seen it."""

    label: str
    path: Path
    receipt: Receipt | None

    @property
    def short(self) -> str:
        """The path within the feedback folder: where that is, is nothing to its users."""
        return "/".join(self.path.parts[-3:])


def filed(settings: Settings, item: Item) -> Filed | None:
    """Under which label a copy lies; None where none does."""
    own = settings.review.feedback / folder_name(item.recipient)
    for label in LABELS:
        path = own / label / f"{item.id}.eml"
        if path.exists():
            return Filed(label, path, _receipt(settings, path))
    return None


def _receipt(settings: Settings, path: Path) -> Receipt | None:
    """The receipt of a copy; a page without it is better than none."""
    ending = "/".join(path.parts[-3:])  # learning may know the folder by another name
    try:
        receipts = list(why.receipts(settings.model.folder / why.RECEIPTS))
    except JournalError as error:
        log.warning("%s", error)
        return None
    of_it = (receipt for receipt in receipts if receipt.source.endswith(ending))
    return next(of_it, None)

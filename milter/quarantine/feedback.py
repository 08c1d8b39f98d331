"""What a person says of a held mail, filed where retraining finds it.

    FOLDER/RECIPIENT/LABEL/<id>.eml

The recipient is the owner of the feedback, so that quotas and conflicts are counted by person.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from milter import durable
from milter.mail import header
from milter.quarantine import names

#: What a mail may be filed as.
LABELS = ("fake", "genuine", "none")


def file_feedback(folder: Path, recipient: str, item_id: str, label: str, content: bytes) -> Path:
    """File ``content`` (CRLF lines) as ``label`` in the name of ``recipient`` (a mailbox).

    It is stored without our own fields, on disk on return. What was said of the same item before
    is taken back: the last word counts. Raises ``OSError`` and leaves nothing behind.
    """
    assert label in LABELS
    assert names.is_id(item_id)
    owner = folder / names.folder_name(recipient)
    path = owner / label / f"{item_id}.eml"
    _make_folders(path.parent)
    durable.replace(path, header.without_ours(content))
    _hand_over(path, path.parent)
    for other in LABELS:
        if other != label:
            with suppress(FileNotFoundError):
                (owner / other / path.name).unlink()
                durable.fsync_folder(owner / other)
    return path


def _make_folders(folder: Path) -> None:
    """Make ``folder`` with what is missing above it, for nobody but its owner."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    _hand_over(folder, folder.parent)
    durable.fsync_folder(folder.parent)


def _hand_over(path: Path, like: Path) -> None:
    """What root makes belongs to whom the feedback belongs to, who has to read it."""
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(path, owner.st_uid, owner.st_gid)

"""Who may read held mail: the filter's user, and a group where the settings name one.

The group (Dovecot's) gets the mails and the folders that they lie in. What is kept beside them,
and the index of everybody's mail, stays with the filter's user. The umask has no say.
"""

from __future__ import annotations

import grp
import os
from dataclasses import dataclass
from pathlib import Path

from milter.durable import fsync_folder
from milter.errors import StartError
from milter.quarantine.names import HELD


@dataclass(frozen=True, slots=True)
class Access:
    """``group``: its id, or -1 for nobody else."""

    group: int = -1

    @classmethod
    def of(cls, group: str) -> Access:
        """Raises ``StartError`` where there is no such group."""
        if not group:
            return cls()
        try:
            return cls(grp.getgrnam(group).gr_gid)
        except KeyError:
            raise StartError(
                f"[quarantine] group: there is no group {group!r} on this machine. "
                "Make it, name another one, or leave it empty."
            ) from None

    @property
    def file_mode(self) -> int:
        """Of a mail."""
        return 0o600 if self.group < 0 else 0o660

    def make_top(self, path: Path) -> None:
        """Make ``path`` the folder of all recipients' folders. Raises ``OSError``.

        The group may pass, not add: a recipient's folder that Dovecot made (it would, when a client
        asks for it) is not ours to give to the group, and nothing could be held in it.
        """
        self._make(path, 0o710)

    def make_folder(self, path: Path) -> None:
        """Make ``path`` a folder for mails; its parent is fsynced. Raises ``OSError``."""
        # Mails that Dovecot puts in belong to the group as well (the set-group-ID bit).
        self._make(path, 0o2770)

    def _make(self, path: Path, shared: int) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, -1, self.group)
        path.chmod(0o700 if self.group < 0 else shared)
        fsync_folder(path.parent)

    def make_maildir(self, path: Path) -> None:
        """Make ``path`` a recipient's Maildir, all of it on disk. Raises ``OSError``.

        What is kept beside the mails comes last: where it is there, so is the rest.
        """
        self.make_folder(path)
        for name in ("tmp", "new", "cur"):
            self.make_folder(path / name)
        (path / HELD).mkdir(mode=0o700, exist_ok=True)
        fsync_folder(path)

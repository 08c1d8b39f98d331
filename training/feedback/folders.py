"""Feedback folders as they lie on the disk: every mail in a folder whose name is a label.

    DIR/fake/1.eml                        a folder of mails, with whatever folders below
    DIR/fake.mbox                         an mbox
    DIR/.Fake-Kooperation/cur/...         DIR is a Maildir, with folders as Dovecot lays them out
    DIR/anna/Maildir/.fake/cur/...        users below DIR: the owner is ``anna``
    DIR/example.org/anna/.INBOX.fake/...  the owner is ``example.org/anna``

Links are not followed; pipes, sockets and devices are not opened. What is no feedback (the inbox,
index files of servers) is passed over; all that lies in a label folder and cannot be read is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milter.errors import CoopError
from training.feedback import mbox
from training.feedback.files import NotRead, opened, reason, shown, whole
from training.feedback.mails import Fate, Outcome, Reason
from training.feedback.names import Names
from training.feedback.settings import FeedbackSettings, plain_name

# Folders that hold a user's mail and do not name the user.
_STORES = frozenset({"maildir", ".maildir", "mail", ".mail", "mailboxes", "inbox"})
# Beside mails: what servers and desktops keep for themselves.
_NOT_MAIL = re.compile(r"\.|dovecot|.*\.(?:msf|lock)$|(?:Thumbs\.db|desktop\.ini)$", re.IGNORECASE)
# A Maildir file's name: time and microseconds of its delivery into this folder, and its flags.
_DELIVERED = re.compile(r"(\d{9,11})\.(?:M(\d{1,6})(?!\d))?")
_FLAGS = re.compile(r"[:;!]2,([^:;!]*)$")


class FeedbackError(CoopError):
    """A feedback folder that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A mail as it lies in a folder: ``octets`` of the file, ``moved`` in Unix time.

    ``trashed``: its owner has marked it as deleted.
    """

    label: str
    owner: str
    source: str
    moved: float
    octets: bytes
    trashed: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder on the way: its label, if it or one above has one, and whose it is.

    ``stored``: whether it lies in somebody's mail store, where names name no users any more.
    """

    path: Path
    owner: tuple[str, ...]
    label: str = ""
    stored: bool = False


def scan(
    folders: Sequence[Path], settings: FeedbackSettings, notes: list[str]
) -> Iterator[Filed | Fate]:
    """All mails below ``folders``, in no order; a fate for each that cannot be read.

    A folder with nothing in it that is named for a label is told in ``notes``: there may be no
    feedback yet. Raises ``FeedbackError`` where one is missing: it must not look empty.
    """
    names = Names(settings)
    for path, owner in _roots(folders).items():
        walk = _Walk(names, settings.max_octets)
        yield from walk.run(_Place(path, owner))
        if not walk.labels:
            listed = ", ".join(settings.fake + settings.genuine + settings.none)
            notes.append(f"{shown(path)}: no folder in it is named for a label ({listed})")


def _roots(folders: Sequence[Path]) -> dict[Path, tuple[str, ...]]:
    """The folders to look through, none inside another, and the owner that each stands for."""
    for folder in folders:
        if not folder.is_dir():
            raise FeedbackError(f"there is no feedback folder {shown(folder)}")
    paths = {folder.resolve() for folder in folders}
    roots = sorted(path for path in paths if not paths.intersection(path.parents))
    if len(roots) == 1:
        return {roots[0]: ()}
    names = [_short_name(path) for path in roots]
    return {
        path: (name if names.count(name) == 1 else shown(path),)
        for path, name in zip(roots, names, strict=True)
    }


def _short_name(path: Path) -> str:
    """``anna`` of ``/home/anna/Maildir``."""
    parts = [part for part in path.parts if plain_name(part) not in _STORES]
    return shown(parts[-1])


class _Walk:
    """One walk through the folders below one."""

    def __init__(self, names: Names, most: int) -> None:
        self.labels: set[str] = set()
        self._names = names
        self._most = most

    def run(self, root: _Place) -> Iterator[Filed | Fate]:
        """Every mail below ``root``. With a list of its own: names may nest to any depth."""
        places = [root]
        while places:
            place = places.pop()
            try:
                entries = _listed(place.path)
            except NotRead as refused:
                yield _fate(refused.reason, place.label, place.path)
                continue
            maildir = {"cur", "new"} <= {entry.name for entry in entries if _is_folder(entry)}
            for entry in entries:
                if _is_folder(entry):
                    if not (maildir and entry.name in ("cur", "new", "tmp")):
                        places.append(self._below(place, entry, maildir))
                elif not maildir:
                    yield from self._beside(place, entry)
            if maildir and place.label:
                yield from self._maildir(place)

    def _below(self, place: _Place, entry: os.DirEntry[str], maildir: bool) -> _Place:
        label = place.label or self._label(entry.name)
        stored = place.stored or maildir or plain_name(entry.name) in _STORES
        named = () if stored or label else (shown(entry.name),)
        return _Place(Path(entry.path), place.owner + named, label, stored)

    def _label(self, name: str) -> str:
        label = self._names.label(name)
        if label:
            self.labels.add(label)
        return label

    def _beside(self, place: _Place, entry: os.DirEntry[str]) -> Iterator[Filed | Fate]:
        """A file that is in no Maildir: feedback in a label folder, or named for a label."""
        inside = place.label and not _NOT_MAIL.match(entry.name)
        label = place.label if inside else "" if place.label else self._label(entry.name)
        if label:
            yield from self._file(replace(place, label=label), entry)

    def _file(self, place: _Place, entry: os.DirEntry[str]) -> Iterator[Filed | Fate]:
        path = Path(entry.path)
        try:
            _must_be_file(entry)
            with opened(path) as file:
                moved = os.fstat(file.fileno()).st_mtime
                if path.suffix.lower() != ".eml" and mbox.is_mbox(file):
                    for number, octets in enumerate(mbox.mails(file, self._most), 1):
                        yield from self._of_mbox(place, f"{shown(path)}#{number}", moved, octets)
                else:
                    yield _filed(place, shown(path), moved, whole(file, self._most))
        except NotRead as refused:
            yield _fate(refused.reason, place.label, path)

    def _of_mbox(
        self, place: _Place, source: str, moved: float, octets: bytes
    ) -> Iterator[Filed | Fate]:
        if mbox.is_internal(octets):
            return
        if len(octets) > self._most:
            yield Fate("", "", place.label, source, "unreadable", "too-large")
        else:
            yield _filed(place, source, moved, octets, mbox.is_deleted(octets))

    def _maildir(self, place: _Place) -> Iterator[Filed | Fate]:
        """The mails of one Maildir. ``new`` first: a mail moves from there to ``cur``."""
        found: dict[str, os.DirEntry[str]] = {}
        for part in ("new", "cur"):
            try:
                entries = _listed(place.path / part)
            except NotRead as refused:
                yield _fate(refused.reason, place.label, place.path / part)
                continue
            found |= {_base(e.name): e for e in entries if not e.name.startswith(".")}
        for entry in found.values():
            yield self._message(place, entry)

    def _message(self, place: _Place, entry: os.DirEntry[str]) -> Filed | Fate:
        try:
            _must_be_file(entry)
            return self._read(place, Path(entry.path))
        except NotRead as refused:
            renamed = self._renamed(place, entry.name) if refused.reason == "vanished" else None
            return renamed or _fate(refused.reason, place.label, entry.path)

    def _renamed(self, place: _Place, name: str) -> Filed | None:
        """The mail that was ``name`` before a client set a flag, which renames its file."""
        try:
            for entry in _listed(place.path / "cur"):
                if _base(entry.name) == _base(name):
                    _must_be_file(entry)
                    return self._read(place, Path(entry.path))
        except NotRead:
            pass
        return None

    def _read(self, place: _Place, path: Path) -> Filed:
        with opened(path) as file:
            moved = _delivered(path.name) or os.fstat(file.fileno()).st_mtime
            flags = _FLAGS.search(path.name)
            trashed = flags is not None and "T" in flags[1]
            return _filed(place, shown(path), moved, whole(file, self._most), trashed)


def _filed(place: _Place, source: str, moved: float, octets: bytes, trashed: bool = False) -> Filed:
    return Filed(place.label, "/".join(place.owner), source, moved, octets, trashed)


def _fate(why: Reason, label: str, path: str | Path) -> Fate:
    outcome: Outcome = "withdrawn" if why == "vanished" else "unreadable"
    return Fate("", "", label, shown(path), outcome, why)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise NotRead(reason(error)) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _must_be_file(entry: os.DirEntry[str]) -> None:
    """Raises ``NotRead`` for all that must not even be opened, a pipe among them."""
    try:
        regular = entry.is_file(follow_symlinks=False)
    except OSError as error:
        raise NotRead(reason(error)) from error
    if not regular:
        raise NotRead("not-a-file")


def _base(name: str) -> str:
    """What stays of a Maildir file's name whatever flags it has."""
    return _FLAGS.sub("", name)


def _delivered(name: str) -> float:
    """When a Maildir file came into its folder, 0 where its name does not tell.

    Dovecot gives a mail that is copied or moved a new name, but lets it keep the time of the file.
    """
    match = _DELIVERED.match(name)
    return int(match[1]) + int(match[2] or 0) / 1e6 if match else 0.0

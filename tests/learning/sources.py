"""Sources of labelled mail, as an evaluation takes them."""

from __future__ import annotations

import json
from pathlib import Path

from spam import tiny

CONTENTS = {"fake": tiny.FAKE, "genuine": tiny.GENUINE, "none": tiny.NONE}


def write(path: Path, octets: bytes = tiny.NONE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(octets)
    return path


def write_folder(folder: Path) -> Path:
    """A source as the corpus is laid out, and with a README."""
    for label, content in CONTENTS.items():
        write(folder / label / "de" / "theme" / "one.eml", content)
        write(folder / label / "two.eml", content)
    write(folder / "README.md", b"about this")
    return folder


def write_lines(path: Path, *objects: object) -> Path:
    return write(path, "\n".join(json.dumps(told) for told in objects).encode())

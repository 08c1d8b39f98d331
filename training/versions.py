"""What decides the numbers that a machine comes to, so that two machines can be compared."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What gives the numbers: a worker with another version of these would give other octets.
_LIBRARIES = ("numpy", "scikit-learn", "scipy")
_ROOT = Path(__file__).resolve().parents[1]


def versions() -> dict[str, str]:
    """Of Python, of the libraries that calculate, and of our own code."""
    libraries = {name: _version(name) for name in _LIBRARIES}
    return {"Python": platform.python_version(), "code": _code()} | libraries


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _code() -> str:
    """A digest of the files that read a mail and learn from it, their lists of words included."""
    digest = hashlib.sha256()
    for folder in ("milter/mail", "milter/spam", "training"):
        for path in sorted((_ROOT / folder).glob("**/*.[pt][yo]*")):
            if path.suffix in (".py", ".toml") and "corpus" not in path.parts:
                digest.update(path.relative_to(_ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]

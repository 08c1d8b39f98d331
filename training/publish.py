"""A fitted model to a bundle on disk, and which bundle is the current one.

Whatever kills the writer between any two system calls, ``current`` names a whole bundle or what it
named before, and the next writer clears away what was left. One writer at a time (``lock``).
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np

from milter import durable
from milter.errors import BundleError
from milter.spam import features, tokens
from milter.spam.bundle import FORMAT, LABELS, Bundle, arrays_to_bytes, folder_of, open_bundle
from milter.spam.proof import open_proved
from training.data import Example, digest, newest_day
from training.figures import figures
from training.fit import FitSettings, Fitted
from training.history import KEPT, Published, current, predecessor, trail, write_trail
from training.lock import writing

#: Bundles that are kept beside the current one: to go back to, and to compare with.
KEEP = 10
# What is to be removed has this beginning, so that it vanishes in one step.
_REMOVED = ".old-"
# What ``write_bundle`` calls a bundle; folders of other names are never removed.
_OURS = re.compile(r"\d{4}\.\d\d\.\d\d-[0-9a-f]{7}")
_LIBRARIES = ("numpy", "scikit-learn", "scipy", "joblib")


def write_bundle(
    models: Path, fitted: Fitted, examples: list[Example], settings: FitSettings
) -> Path:
    """Write ``models/<version>`` and return it; what is written is opened once before it is placed.

    The version is the day of the newest mail and a digest of what decides a verdict. The same
    corpus, settings and libraries give the same octets.
    """
    weights = arrays_to_bytes(
        {
            "weights": fitted.weights,
            "scale": np.array(fitted.scale),
            "intercept": fitted.intercept,
        }
    )
    facts = _facts(fitted, settings, weights)
    mark = hashlib.sha256(_json(facts)).hexdigest()[:7]
    facts = {"version": f"{newest_day(examples):%Y.%m.%d}-{mark}", **facts}
    files = {
        "weights.npz": weights,
        "bundle.json": _json(facts),
        "manifest.json": _json(_manifest(facts["version"], fitted, examples, settings)),
    }
    with writing(models):
        _sweep(models)
        aside = _write_aside(models, facts["version"], files)
        assert _holds(open_bundle(aside), fitted), "what is read is not what was written"
        return _place(aside, models / facts["version"])


def publish(models: Path, version: str, keep: int = KEEP) -> None:
    """Prove a bundle and make it the current one, in one step that no reader can see half done.

    Of the others ``keep`` stay, the newest. The one that was current before always does: a filter
    may be opening it, and ``rollback`` goes there; and so do those that are marked (``KEPT``).
    Raises ``BundleError``, ``ModelsInUse``.
    """
    folder = folder_of(models, version)
    _prove(folder)
    with writing(models):
        _sweep(models)
        if folder.name != current(models):
            _flip(models, [*trail(models), Published.now(folder.name)])
        _prune(models, keep)


def rollback(models: Path) -> str:
    """Make the bundle current again that was it before; its version. Again: the one before that."""
    if not models.is_dir():
        raise BundleError(f"{models}: there is no such folder")
    with writing(models):
        _sweep(models)
        lines = trail(models)
        if len(lines) < 2:
            raise BundleError(
                f"{models}: nothing is known to have been in use before; "
                "coop-train list shows what is there, coop-train publish VERSION takes it"
            )
        older = lines[-2].version
        _prove(models / older)
        _flip(models, [*lines[:-2], Published.now(older)])
        return older


def _prove(folder: Path) -> None:
    version = open_proved(folder).version
    if version != folder.name:
        raise BundleError(f"{folder}: the bundle in there is {version}; give its folder that name")


def _flip(models: Path, lines: list[Published]) -> None:
    write_trail(models, lines)
    durable.replace(models / "current", f"{lines[-1].version}\n".encode(), 0o644)


def _prune(models: Path, keep: int) -> None:
    """Remove what is older than the newest ``keep`` bundles; current and marked do not count."""
    before = predecessor(models)
    stay = (current(models), before)
    others = [
        path for path in _bundles(models) if path.name not in stay and not (path / KEPT).exists()
    ]
    others.sort(key=lambda path: ((path / "bundle.json").stat().st_mtime_ns, path.name))
    spare = keep - 1 if before else keep
    for path in others[: max(len(others) - max(spare, 0), 0)]:
        _remove(path)


def _bundles(models: Path) -> Iterator[Path]:
    """The folders that ``write_bundle`` made."""
    for path in models.iterdir():
        if _OURS.fullmatch(path.name) and (path / "bundle.json").exists():
            yield path


def _facts(fitted: Fitted, settings: FitSettings, weights: bytes) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "tokenizer": tokens.VERSION,
        "features": features.VERSION,
        "labels": list(LABELS),
        "temperature": fitted.temperature,
        "thresholds": asdict(fitted.thresholds),
        "too_little": settings.too_little,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }


def _manifest(
    version: str, fitted: Fitted, examples: list[Example], settings: FitSettings
) -> dict[str, Any]:
    return {
        "version": version,
        "settings": asdict(settings),
        "data": {"mails": len(examples), "sha256": digest(examples)},
        "made_with": {"python": platform.python_version()}
        | {library: version_of(library) for library in _LIBRARIES},
        "out_of_fold": figures(examples, fitted.out_of_fold, fitted.thresholds),
    }


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode("ascii")


def _holds(bundle: Bundle, fitted: Fitted) -> bool:
    """Whether a bundle that was read back judges as the model that was fitted."""
    return (
        np.array_equal(bundle.weights, fitted.weights)
        and np.array_equal(bundle.intercept, fitted.intercept)
        and bundle.scale == fitted.scale
        and bundle.temperature == fitted.temperature
        and bundle.thresholds == fitted.thresholds
    )


def _write_aside(models: Path, version: str, files: dict[str, bytes]) -> Path:
    aside = models / f"{durable.ASIDE}{version}"
    aside.mkdir()
    for name, octets in files.items():
        durable.write(aside / name, [octets], 0o644)
    aside.chmod(0o755)
    durable.fsync_folder(aside)
    return aside


def _place(aside: Path, final: Path) -> Path:
    """Move a whole bundle into place. A whole one of that name stays; a damaged one goes."""
    if not final.exists():
        aside.rename(final)
    elif _is_whole(final):
        _renew_manifest(aside, final)
        shutil.rmtree(aside)
    else:
        removed = final.rename(final.with_name(f"{_REMOVED}{final.name}"))
        aside.rename(final)
        shutil.rmtree(removed)
    durable.fsync_folder(final.parent)
    return final


def _is_whole(folder: Path) -> bool:
    try:
        open_bundle(folder)
    except BundleError:
        return False
    return True


def _renew_manifest(aside: Path, final: Path) -> None:
    """The same model again, perhaps made with other libraries: its judgements stay untouched."""
    if (aside / "bundle.json").read_bytes() != (final / "bundle.json").read_bytes():
        raise BundleError(f"{final}: another model has this name; move it out of the way")
    durable.replace(final / "manifest.json", (aside / "manifest.json").read_bytes(), 0o644)


def _sweep(models: Path) -> None:
    """Clear away what a killed writer left; whoever holds the lock is the only one alive."""
    for begins in (durable.ASIDE, _REMOVED):
        for path in [*models.glob(f"{begins}*"), *models.glob(f"*/{begins}*")]:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _remove(folder: Path) -> None:
    """Remove a bundle: gone in one step, so that nobody sees half of it."""
    shutil.rmtree(folder.rename(folder.with_name(f"{_REMOVED}{folder.name}")))

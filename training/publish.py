"""A fitted model to a bundle on disk, and which bundle is the current one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from dataclasses import asdict
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import numpy as np

from milter.spam import features, tokens
from milter.spam.bundle import FORMAT, LABELS, arrays_to_bytes, open_bundle
from training.data import Example, digest, newest_day
from training.figures import figures
from training.fit import FitSettings, Fitted

_LIBRARIES = ("numpy", "scikit-learn", "scipy", "joblib")


def write_bundle(
    models: Path, fitted: Fitted, examples: list[Example], settings: FitSettings
) -> Path:
    """Write ``models/<version>`` and return it; what is written is opened once to prove it.

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
    return _place(models, facts["version"], files)


def publish(models: Path, version: str) -> None:
    """Make a bundle the current one, in one step that no reader can see half done."""
    open_bundle(models / version)
    _write_durably(models / ".current.new", f"{version}\n".encode())
    (models / ".current.new").rename(models / "current")
    _sync_folder(models)


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


def _place(models: Path, version: str, files: dict[str, bytes]) -> Path:
    """Write the files aside and move the folder into place: there is never half a bundle."""
    models.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=models))
    try:
        for name, octets in files.items():
            _write_durably(aside / name, octets)
        aside.chmod(0o755)
        _sync_folder(aside)
        open_bundle(aside)
        final = models / version
        if final.exists():  # the same version: the same model, perhaps with damaged files
            shutil.rmtree(final)
        aside.rename(final)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync_folder(models)
    return final


def _write_durably(path: Path, octets: bytes) -> None:
    with path.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

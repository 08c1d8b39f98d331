"""The model bundle: a folder of numbers that the filter opens, never code.

    bundle.json     format, tokenizer, labels, temperature, thresholds, the arrays' SHA-256
    weights.npz     ``weights`` (SIZE, 3) int16, ``intercept`` (3,) float64, ``scale`` () float64
    manifest.json   how it was made and how it did; for people, not read here

Beside the bundles, ``current`` names the one in use and ``history`` those that were it before.

No pickle is ever opened (``allow_pickle=False``). What does not fit is refused with a sentence
that says which file and why.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from milter.errors import BundleError
from milter.spam import features, tokens

#: Raise this when the files' meaning changes.
FORMAT = 1
#: The order of the classes in every array.
LABELS = ("fake", "genuine", "none")
# What numpy, zipfile and zlib raise for a damaged file, and Python for a value of another kind.
_DAMAGED = (
    *(KeyError, TypeError, ValueError, AttributeError, OverflowError),
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error),
)
# A version goes into every mail's header, and is the name of a folder.
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A bundle has some hundred kilobytes; past this it is not one.
_MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Half-open ranges: ``fake`` from ``fake`` up, ``unsure`` from ``unsure`` to there."""

    fake: float
    unsure: float
    genuine: float


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model: ``weights`` (SIZE, 3), times ``scale``; ``intercept`` (3,); all finite."""

    version: str
    weights: NDArray[np.int16]
    scale: float
    intercept: NDArray[np.float64]
    temperature: float
    thresholds: Thresholds
    too_little: int


def arrays_to_bytes(arrays: dict[str, NDArray[Any]]) -> bytes:
    """``.npz`` octets, the same for the same arrays whenever and wherever they are written."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[name], allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def open_models(models: Path, version: str = "current") -> Bundle:
    """Open a published bundle; ``current`` is a file in ``models`` that names a version."""
    return open_bundle(folder_of(models, version))


def folder_of(models: Path, version: str = "current") -> Path:
    """The folder of a published bundle, which need not be there; raises ``BundleError``."""
    told_by = "[model] version"
    if version == "current":
        told_by = str(models / "current")
        version = _read(models / "current").decode("utf-8", "replace").strip()
    if not _VERSION.fullmatch(version):
        raise BundleError(f"{told_by}: {version[:80]!r} is not the name of a bundle")
    return models / version


def open_bundle(folder: Path) -> Bundle:
    """Open the bundle in ``folder`` and prove it; raises ``BundleError``."""
    facts = _facts(folder / "bundle.json")
    octets = _read(folder / "weights.npz")
    if hashlib.sha256(octets).hexdigest() != facts["weights_sha256"]:
        raise BundleError(
            f"{folder / 'weights.npz'}: its SHA-256 is not the one in bundle.json; "
            "the file is damaged or does not belong to this bundle"
        )
    try:
        with np.load(io.BytesIO(octets), allow_pickle=False) as arrays:
            weights, intercept = arrays["weights"], arrays["intercept"]
            scale = float(arrays["scale"])
        bundle = Bundle(
            version=str(facts["version"]),
            weights=weights,
            scale=scale,
            intercept=intercept,
            temperature=float(facts["temperature"]),
            thresholds=Thresholds(**{k: float(v) for k, v in facts["thresholds"].items()}),
            too_little=int(facts["too_little"]),
        )
    except _DAMAGED as error:
        raise BundleError(f"{folder}: not a model bundle ({error})") from error
    return _proved(bundle, folder)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise BundleError(f"{path}: too large to be part of a model bundle")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}; there is no whole model bundle") from error


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(_read(path))
        expected = {
            "format": FORMAT,
            "tokenizer": tokens.VERSION,
            "features": features.VERSION,
            "labels": list(LABELS),
        }
        for name, value in expected.items():
            if facts[name] != value:
                raise BundleError(
                    f"{path}: {name} is {facts[name]!r}, this filter needs {value!r}; "
                    "fit a model with this version's coop-train, or use the filter it was made for"
                )
        facts["weights_sha256"], facts["thresholds"], facts["too_little"], facts["version"]
    except (ValueError, TypeError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error})") from error
    except KeyError as error:
        raise BundleError(f"{path}: {error} is missing") from error
    return dict(facts)


def _proved(bundle: Bundle, folder: Path) -> Bundle:
    """The bundle, if its numbers can be what they should be."""
    sound = (
        _VERSION.fullmatch(bundle.version)
        and bundle.weights.shape == (features.SIZE, len(LABELS))
        and bundle.weights.dtype == np.int16
        and bundle.intercept.shape == (len(LABELS),)
        and bundle.intercept.dtype == np.float64
        and bool(np.isfinite(bundle.intercept).all())
        and np.isfinite(bundle.scale)
        and 0 < bundle.temperature < np.inf
        and 0 < bundle.thresholds.unsure <= bundle.thresholds.fake <= 1
        and 0 < bundle.thresholds.genuine <= 1
    )
    if not sound:
        raise BundleError(f"{folder}: its arrays or thresholds are not those of a model")
    return bundle

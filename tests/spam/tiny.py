"""A tiny model bundle for tests: three words decide, nothing else weighs anything."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from milter.spam import features
from milter.spam.bundle import FORMAT, LABELS, arrays_to_bytes
from milter.spam.tokens import VERSION, Tokens

#: What each word speaks for.
WORDS = {"backlink": "fake", "jointly": "genuine", "invoice": "none"}
NAME = "2026.11.23-tiny"
FAKE = b"Subject: Hello\r\n\r\nDear webmaster, we want one backlink on your page.\r\n"
GENUINE = b"Subject: Hello\r\n\r\nDear webmaster, we would do this jointly with you.\r\n"
NONE = b"Subject: Hello\r\n\r\nDear customer, this is your invoice of last month.\r\n"


def arrays() -> dict[str, Any]:
    """The arrays of a valid bundle."""
    weights = np.zeros((features.SIZE, len(LABELS)), dtype=np.int16)
    for word, label in WORDS.items():
        ids = features.features(Tokens([], [word], [], [])).ids
        weights[ids, LABELS.index(label)] = 1000
    return {
        "weights": weights,
        "intercept": np.zeros(len(LABELS)),
        "scale": np.array(0.02),
    }


def facts() -> dict[str, Any]:
    """What ``bundle.json`` says of a valid bundle, but for the hash."""
    return {
        "format": FORMAT,
        "tokenizer": VERSION,
        "features": features.VERSION,
        "labels": list(LABELS),
        "temperature": 1.0,
        "thresholds": {"fake": 0.9, "unsure": 0.5, "genuine": 0.5},
        "too_little": 4,
        "version": NAME,
    }


def write_bundle(folder: Path, weights: bytes | None = None, **changed: object) -> Path:
    """Write a bundle: ``weights`` as the arrays' file, ``changed`` facts (None: left out)."""
    folder.mkdir(parents=True, exist_ok=True)
    octets = arrays_to_bytes(arrays()) if weights is None else weights
    (folder / "weights.npz").write_bytes(octets)
    told = facts() | {"weights_sha256": hashlib.sha256(octets).hexdigest()} | changed
    kept = {name: value for name, value in told.items() if value is not None}
    (folder / "bundle.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def write_models(models: Path) -> Path:
    """A models folder with one bundle, which is the current one."""
    write_bundle(models / NAME)
    (models / "current").write_text(f"{NAME}\n", encoding="utf-8")
    return models

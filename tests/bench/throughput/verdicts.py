"""From a mail's octets in memory to a verdict: processor time a mail, in microseconds, as JSON.

``opening`` is what importing and opening the model took; of scikit-learn, learning it.

    python verdicts.py ours|email|scikit-learn MAILS [--mails N] [--models DIR]

``email`` only parses, with the policy that reads fastest (compat32), and decodes what is text.
Mails of the same kind but others go first: words are known by then as in a filter that runs.
"""

from __future__ import annotations

import argparse
import email
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_DEADLINE = 60.0  # seconds; no mail is to be given up here


def ours(models: Path) -> Callable[[bytes], object]:
    """The filter's own way from octets to judgement, with the model in use."""
    sys.path.insert(0, str(ROOT))
    from milter.spam.bundle import open_models
    from milter.spam.judge import judge_content

    bundle = open_models(models)
    return lambda octets: judge_content(octets, bundle, _DEADLINE)


def parse(octets: bytes) -> list[str]:
    """All text parts, decoded."""
    message = email.message_from_bytes(octets)
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    decoded = ((part.get_payload(decode=True), part) for part in parts)
    return [
        octets.decode(part.get_content_charset("utf-8"), "replace")
        for octets, part in decoded
        if isinstance(octets, bytes)
    ]


def microseconds(judge: Callable[[bytes], object], mails: Sequence[bytes]) -> float:
    """Processor time a mail."""
    start = time.process_time()
    for octets in mails:
        judge(octets)
    return (time.process_time() - start) / len(mails) * 1e6


def read(folder: Path) -> list[bytes]:
    """All mails of a folder."""
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def main() -> None:
    parser = argparse.ArgumentParser(description="Time from octets to verdict.")
    parser.add_argument("what", choices=["ours", "email", "scikit-learn"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    options = parser.parse_args()
    judge: Callable[[bytes], object] = parse
    start = time.process_time()
    if options.what == "ours":
        judge = ours(options.models)
    elif options.what == "scikit-learn":
        from naive import learn  # type: ignore[import-not-found]  # beside this script

        judge = learn(options.folder)
    opening = (time.process_time() - start) * 1e6
    microseconds(judge, read(options.folder / "fake") + read(options.folder / "other"))
    test = read(options.folder / "test")[: options.mails]
    print(json.dumps({"us": microseconds(judge, test), "opening": opening}))


if __name__ == "__main__":
    main()

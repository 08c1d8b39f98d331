"""The filter of this project: fitted as ``coop-train fit`` does, judging as the filter does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.filters.peer import Judge, Mail, answer, line_judge

from milter.mail.folder import as_content
from milter.spam.bundle import open_bundle
from milter.spam.judge import judge_content

DEADLINE = 60.0  # seconds; no mail is to be given up here, the machine may be loaded


class Ours:
    """Learns three labels, as it is made to; its number is the probability of ``fake``."""

    name = "coop-verdict"
    counted = "a process with the bundle open: file, text, features, verdict"

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return ""

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        # Here, because the judging process must not carry the learner's libraries.
        from training.data import Example
        from training.fit import FitSettings, fit
        from training.publish import write_bundle

        examples = [
            Example(mail.path.name, mail.label, mail.language, mail.group, as_content(octets))
            for mail in mails
            for octets in [mail.path.read_bytes()]
        ]
        settings = FitSettings()
        bundle = write_bundle(folder, fit(examples, settings), examples, settings)
        bundle.rename(folder / "bundle")

    def judge(self, folder: Path) -> AbstractContextManager[Judge]:
        return line_judge([sys.executable, "-m", __name__, str(folder)], folder)


def main(folder: Path) -> None:
    """Judge until there are no more paths. What is left unscored is never called fake: below 0."""
    bundle = open_bundle(folder / "bundle")

    def score(octets: bytes) -> float:
        judgement = judge_content(as_content(octets), bundle, DEADLINE)
        return judgement.score.fake if judgement.score else -1.0

    answer(score)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""SpamAssassin's Bayes by itself; the work is done by the Perl script beside this file."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.filters.peer import Judge, Mail, line_judge, number_in, run

_SCRIPT = Path(__file__).with_suffix(".pl")


class SpamAssassin:
    """Its rules are left out: they know nothing of pitches, and would be compared with nothing.

    Lowered: the 200 mails of each kind below which its Bayes says nothing. Off: learning from its
    own verdicts, and forgetting old tokens, which would make the data unequal.
    """

    name = "SpamAssassin's Bayes"
    counted = "one Perl process with the Bayes plugin only: file, MIME, tokens, probability"

    def missing(self) -> str:
        return "" if shutil.which("spamassassin") else "apt install spamassassin"

    def version(self) -> str:
        return number_in(run(["spamassassin", "--version"]))

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        lines = (f"{'spam' if mail.fake else 'ham'} {mail.path}\n" for mail in mails)
        run(["perl", _SCRIPT, "learn", folder], "".join(lines))

    def judge(self, folder: Path) -> AbstractContextManager[Judge]:
        return line_judge(["perl", _SCRIPT, "judge", folder], folder)

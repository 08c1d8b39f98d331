"""bogofilter: Robinson's and Fisher's method on words, in C, with Berkeley DB."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from bench.filters.peer import Judge, Mail, line_judge, number_in, run

# -C: no settings of this machine; tokens, cutoffs (three states) and smoothing are the defaults.
_BOGOFILTER = ("bogofilter", "-C", "-d")


class Bogofilter:
    """Trained on every mail once: -s those that are fake, -n all others.

    The mails are named on its input (-b), not put into an mbox (-M), which would change lines that
    begin with "From". The number is its spamicity with all digits (-TT); its three states are
    ranges of that.
    """

    name = "bogofilter"
    counted = "one process in bulk mode (-b): file, words, database, spamicity"

    def missing(self) -> str:
        return "" if shutil.which("bogofilter") else "apt install bogofilter"

    def version(self) -> str:
        return number_in(run(["bogofilter", "-V"]))

    def train(self, folder: Path, mails: Sequence[Mail]) -> None:
        for option, fake in (("-s", True), ("-n", False)):
            paths = "".join(f"{mail.path}\n" for mail in mails if mail.fake is fake)
            run([*_BOGOFILTER, folder, option, "-b"], paths)

    def judge(self, folder: Path) -> AbstractContextManager[Judge]:
        return line_judge([*_BOGOFILTER, folder, "-b", "-TT"], folder)

"""The runbook page from the table of faults: ``python tests/faults/runbook.py`` writes it anew."""

from __future__ import annotations

import tomllib
from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PAGE = DEPLOY / "runbook.md"

_HEAD = """# Runbook: what can go wrong, and where the mail is then

Made from `faults.toml`; the tests hold the filter to every row. A mail is never lost: until the
filter has answered 250, the sender has it and tries again.

| What happens | Reply to the sender | Who has the mail | Look for in the log |
|---|---|---|---|
"""


def page() -> str:
    """The page's text."""
    table = tomllib.loads((DEPLOY / "faults.toml").read_text(encoding="utf-8"))
    rows = [
        f"| {fault['what']} | {fault['reply'] or 'none: it is gone'} | {fault['mail']} "
        f"| {fault['log'] or 'nothing of its own'} |"
        for fault in table.values()
    ]
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

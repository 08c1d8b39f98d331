"""axe-core, the accessibility check, run in a page that a browser shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Page

#: Where ``make test`` has npm put it.
AXE = Path(__file__).resolve().parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
#: Findings that keep somebody from using a page; the others are told, too.
SEVERE = ("serious", "critical")
_RUN = """async (tags) => (await axe.run(document, {
    resultTypes: ["violations"], ...(tags.length ? {runOnly: tags} : {}),
  })).violations.map((found) => `${found.impact}: ${found.id}: ${found.help}: ` +
    found.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | "))"""


def need_axe() -> None:
    """Skip where it is not installed; fail where the run must have it (REQUIRE_SERVICES=1)."""
    reason = f"{AXE} is missing: install npm, then run make test"
    if not AXE.exists() and os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    if not AXE.exists():  # a developer without npm still runs all other tests
        pytest.skip(reason)


async def findings(page: Page, only_colours: bool = False) -> list[str]:
    """What axe finds in the page as it is shown now, each with its impact in front.

    ``only_colours``: by the rules alone that look at them, where only these are others.
    The page's context must have been opened with ``bypass_csp``: the page itself would not run it.
    """
    if not await page.evaluate("() => 'axe' in window"):
        await page.add_script_tag(path=AXE)
    found: list[str] = await page.evaluate(_RUN, ["cat.color"] if only_colours else [])
    return found

"""The review page as a process of its own, and how somebody in a browser logs in to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.browser import press
from harness.ports import free_port, listens, wait_until
from harness.review import PASSWORD
from playwright.async_api import Page

#: The one script that may run in the page.
OWN_SCRIPTS = ("/static/page.js",)
_SETTINGS = """
[filter]
arrangement = "{arrangement}"
maildir = "{folder}/mail"
next_hop = "{next_hop}"
[policy]
default = "quarantine"
force_quarantine = true
[quarantine]
folder = "{folder}/quarantine"
[review]
state = "{folder}/review"
feedback = "{folder}/feedback"
[journal]
folder = "{folder}/index"
[trust]
folder = "{folder}/index"
refused = ["refused.test"]
"""


def settings_text(folder: Path, next_hop: str = "", arrangement: str = "after-queue") -> str:
    """Settings for filter and page: fakes are held, everything lies below ``folder``.

    Whatever comes from ``refused.test`` is a fake.
    """
    return _SETTINGS.format(folder=folder, next_hop=next_hop, arrangement=arrangement)


@dataclass(frozen=True)
class RunningPage:
    """Its address (no slash at the end), its log, its process."""

    url: str
    log_file: Path
    process: subprocess.Popen[str]

    @property
    def log(self) -> str:
        """What it has written so far."""
        return self.log_file.read_text()


@contextmanager
def running_page(config: Path) -> Iterator[RunningPage]:
    """Run ``coop-verdict review`` with the settings file ``config`` until the block ends."""
    port = free_port()
    log_file = config.with_suffix(f".{port}.log")
    command = [sys.executable, "-m", "milter", "review", "--config", str(config)]
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}"], stdout=log, stderr=log, text=True
        )
    page = RunningPage(f"http://127.0.0.1:{port}", log_file, process)
    try:
        wait_until(lambda: listens(port) or process.poll() is not None, "the page is up")
        assert process.poll() is None, page.log
        yield page
    finally:
        process.terminate()
        process.wait(timeout=60)


def add_user(config: Path, name: str, *arguments: str) -> None:
    """Add a user by the command, with ``PASSWORD``."""
    command = [sys.executable, "-m", "milter", "review-user", "add", name, "--config", str(config)]
    subprocess.run(
        [*command, "--password-stdin", *arguments],
        input=f"{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
    )


async def log_in(page: Page, url: str, name: str, password: str = PASSWORD) -> None:
    """Fill in the login form, as a person does."""
    await page.goto(f"{url}/login")
    await page.fill("#name", name)
    await page.fill("#password", password)
    await press(page, "#login")

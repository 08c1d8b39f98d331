"""Send the sample mails through the filter over SMTP, and show what each came out as.

Uses the filter that ``make run`` started, if one listens on 127.0.0.1:10025 and stores into
./var/mail; otherwise starts one of its own for the moment.
"""

from __future__ import annotations

import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from rich.console import Console
from rich.table import Table

SAMPLES = Path(__file__).parent
DEFAULT_PORT = 10025
PATIENCE = 15.0  # seconds until a filter of our own must be up, or a mail must have arrived


def main() -> int:
    """Send, wait, print; the exit status says whether all mails arrived."""
    with _filter() as (port, maildir):
        table = Table("sample", "subject", "verdict", "score", "asks", "offers")
        for column in table.columns:
            column.overflow = "fold"
        arrived = [_through(path, port, maildir) for path in sorted(SAMPLES.glob("*.eml"))]
        for path, mail in zip(sorted(SAMPLES.glob("*.eml")), arrived, strict=True):
            table.add_row(path.stem, *_row(mail))
        Console().print(table)
    if None in arrived:
        print(f"Some mails did not arrive in {maildir}: is the filter on port {port} another one?")
        return 1
    return 0


@contextmanager
def _filter() -> Iterator[tuple[int, Path]]:
    """The port of a filter and the Maildir behind it."""
    if _listens(DEFAULT_PORT):
        print(f"Using the filter that listens on 127.0.0.1:{DEFAULT_PORT}.")
        yield DEFAULT_PORT, Path("var/mail").absolute()
        return
    with tempfile.TemporaryDirectory(prefix="coop-demo-") as folder:
        port = _free_port()
        command = [sys.executable, "-m", "milter", "serve", "--listen", f"127.0.0.1:{port}"]
        with subprocess.Popen(  # noqa: S603 (our own command)
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                _wait_until(lambda: _listens(port) or process.poll() is not None)
                print(f"No filter is running; started one on 127.0.0.1:{port} for the moment.")
                yield port, Path(folder) / "var" / "mail"
            finally:
                process.terminate()


def _through(path: Path, port: int, maildir: Path) -> EmailMessage | None:
    """Send one mail and find it behind the filter; None where it does not arrive."""
    before = set((maildir / "new").glob("*"))
    message_id = message_from_bytes(path.read_bytes(), policy=policy.default)["Message-ID"]
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        client.sendmail("sender@example.org", ["you@example.net"], path.read_bytes())
    found: list[EmailMessage] = []

    def arrived() -> bool:
        for new in set((maildir / "new").glob("*")) - before:
            mail = message_from_bytes(new.read_bytes(), policy=policy.default)
            if mail["Message-ID"] == message_id:
                found.append(mail)
        return bool(found)

    _wait_until(arrived)
    return found[0] if found else None


def _row(mail: EmailMessage | None) -> list[str]:
    if mail is None:
        return ["-", "did not arrive", "", "", ""]
    verdict, *items = str(mail["X-Coop-Verdict"]).split("; ")
    facts = dict(item.split("=", 1) for item in items)
    subject = str(mail["Subject"])
    return [subject, verdict, *(facts.get(name, "") for name in ("score", "asks", "offers"))]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not condition():
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())

"""The filter that comes to mind first, to compare with: stock aiosmtpd, aiosmtplib, scikit-learn.

    build/bench/venv/bin/python naive.py --port N --next-hop N [--learn MAILS]

Without ``--learn`` it judges nothing. Runs in the virtualenv of the peers and imports nothing of
this project. It has no rules for the wire, no XFORWARD, no limits and no log.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

Judge = Callable[[bytes], float]


def text_of(octets: bytes) -> str:
    """Subject and body as the email package finds them."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    body = message.get_body(("plain", "html"))
    return f"{message['subject']}\n{body.get_content() if body else ''}"


def learn(mails: Path) -> Judge:
    """Hashed words and pairs, and a linear model, from the folders ``fake`` and ``other``."""
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(HashingVectorizer(ngram_range=(1, 2)), SGDClassifier(loss="log_loss"))
    labelled = [(path, name) for name in ("fake", "other") for path in (mails / name).iterdir()]
    model.fit([text_of(path.read_bytes()) for path, _ in labelled], [name for _, name in labelled])
    return lambda octets: float(model.predict_proba([text_of(octets)])[0][0])


class Handler:
    """aiosmtpd's way: the whole mail at once, and a new connection to the next hop for it."""

    def __init__(self, next_hop: int, judge: Judge | None) -> None:
        self._next_hop, self._judge = next_hop, judge

    # aiosmtpd looks for this very name.
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        import aiosmtplib  # type: ignore[import-not-found]  # in the peers' virtualenv only

        content = envelope.original_content
        if self._judge:
            content = b"X-Score: %.4f\r\n" % self._judge(content) + content
        _, said = await aiosmtplib.send(
            content,
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            hostname="127.0.0.1",
            port=self._next_hop,
            local_hostname="proxy.example",
            start_tls=False,
        )
        return f"250 {said}"


def main() -> None:
    from aiosmtpd.controller import Controller

    parser = argparse.ArgumentParser(description="The plainest proxy.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--next-hop", type=int, required=True)
    parser.add_argument("--learn", type=Path)
    options = parser.parse_args()
    handler = Handler(options.next_hop, learn(options.learn) if options.learn else None)
    controller = Controller(
        handler, hostname="127.0.0.1", port=options.port, data_size_limit=50 << 20
    )
    controller.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    controller.stop()


if __name__ == "__main__":
    main()

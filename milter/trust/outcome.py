"""What a mail's signatures come to. Beside ``dkim``, which loads a library for it."""

from __future__ import annotations

from enum import StrEnum


class Dkim(StrEnum):
    """What a mail's signatures come to."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "bad"
    UNKNOWN = "unknown"  # it may be good: DNS did not say, or we cannot check that kind
    NONE = "none"

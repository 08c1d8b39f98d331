"""The lists: a domain stands for all below it, the narrower entry counts, refusal wins a tie."""

from __future__ import annotations

import pytest

from milter.trust.senders import Senders, Standing

ALLOWED, REFUSED = Standing.ALLOWED, Standing.REFUSED

CASES = [
    # allowed, refused, who, expected
    (["a@example.org"], [], "a@example.org", ALLOWED),
    (["A@EXAMPLE.ORG"], [], "a@example.org", ALLOWED),
    (["a@example.org"], [], "b@example.org", None),
    (["a@example.org"], [], "a@mail.example.org", None),
    (["example.org"], [], "a@example.org", ALLOWED),
    (["example.org"], [], "a@deep.mail.example.org", ALLOWED),
    (["example.org"], [], "a@notexample.org", None),
    (["example.org"], [], "example.org@example.net", None),
    (["mail.example.org"], [], "a@example.org", None),
    (["org"], [], "a@example.org", ALLOWED),
    ([], ["example.org"], "a@example.org", REFUSED),
    (["example.org"], ["example.org"], "a@example.org", REFUSED),
    (["a@example.org"], ["a@example.org"], "a@example.org", REFUSED),
    (["a@example.org"], ["example.org"], "a@example.org", ALLOWED),
    (["a@example.org"], ["example.org"], "b@example.org", REFUSED),
    (["example.org"], ["a@example.org"], "a@example.org", REFUSED),
    (["example.org"], ["mail.example.org"], "a@x.mail.example.org", REFUSED),
    (["mail.example.org"], ["example.org"], "a@x.mail.example.org", ALLOWED),
    (["bücher.example"], [], "a@xn--bcher-kva.example", ALLOWED),
    (["xn--bcher-kva.example"], [], "a@xn--bcher-kva.example", ALLOWED),
    (["example.org"], ["example.org"], None, None),
    ([], [], "a@example.org", None),
]


@pytest.mark.parametrize(("allowed", "refused", "who", "expected"), CASES)
def test_standing(
    allowed: list[str], refused: list[str], who: str | None, expected: Standing | None
) -> None:
    assert Senders(allowed, refused).standing(who) is expected

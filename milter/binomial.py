"""How sure one can be of a rare fault's share, from how often it was seen. Pure."""

from __future__ import annotations

import math

#: How sure a bound is.
CONFIDENCE = 0.95
# Halvings of an interval of length 1: past these a float has no more digits to gain.
_HALVINGS = 60


def upper_bound(seen: int, of: int) -> float:
    """The largest share of faults that ``seen`` in ``of`` cases still speak for, with 95 %.

    One-sided, after Clopper and Pearson (1934): the share under which so few are seen in one case
    of twenty. With none seen it is about 3 / ``of``, the rule of three.
    """
    if seen >= of:
        return 1.0
    low, high = seen / of, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(seen, of, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def needed(budget: float, seen: int = 0) -> int:
    """The fewest cases with ``seen`` faults that show a share of at most ``budget`` (0 to 1)."""
    low, high = seen, max(1, 2 * seen)  # ``seen`` are never enough: the bound would be 1
    while upper_bound(seen, high) > budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(seen, middle) > budget else (low, middle)
    return high


def _at_most(k: int, n: int, share: float) -> float:
    """The binomial distribution function for ``k`` up to ``n`` times ``share``.

    Summed from ``k`` downwards, where the terms only get smaller: each by its ratio to the one
    before, until none changes the sum.
    """
    if share >= 1:
        return 0.0
    term, total, i = 1.0, 0.0, k
    while total + term > total:
        total += term
        term *= i * (1 - share) / ((n - i + 1) * share)
        i -= 1
    choose = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(choose + k * math.log(share) + (n - k) * math.log1p(-share)) * total

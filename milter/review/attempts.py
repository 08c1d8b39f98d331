"""How often somebody may try to log in: a delay that grows with each failure.

Counted for each name and for each address. An attempt counts as failed from its beginning, so that
many at once are no way around it; a success takes it back.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

# Failures that cost nothing: people mistype.
_FREE = 5
# Seconds. A name is never shut for longer than this by strangers who guess at it: no more than
# 1500 guesses a day from wherever; an address that goes on and on waits longer.
_LONGEST_NAME, _LONGEST_ADDRESS = 60.0, 900.0
# Seconds without a failure after which it is forgotten.
_FORGOTTEN = 3600.0
# Names and addresses that are remembered; the ones that failed longest ago go first.
_MOST = 10_000


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0


class Attempts:
    """The failures so far. ``clock``: seconds, from anywhere."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def begin(self, name: str, address: str) -> float:
        """Seconds to wait before one may try; 0: now, and it counts as failed until taken back.

        ``address`` is empty where it is not known; then only the name counts.
        """
        keys = _keys(name, address)
        wait = max(self._wait(key) for key in keys)
        if wait <= 0:
            for key in keys:
                self._count(key)
        return max(wait, 0.0)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of the name; of the address only this one attempt.

        Else whoever has a password could guess at the others' for ever.
        """
        by_name, *by_address = _keys(name, address)
        self._failures.pop(by_name, None)
        for key in by_address:
            if found := self._failures.get(key):
                found.count -= 1

    def _wait(self, key: tuple[str, str]) -> float:
        found = self._failures.get(key)
        if not found or found.count < _FREE:
            return 0.0
        longest = _LONGEST_NAME if key[0] == "name" else _LONGEST_ADDRESS
        delay = min(2.0 ** min(found.count - _FREE, 30), longest)
        return found.last + delay - self._clock()

    def _count(self, key: tuple[str, str]) -> None:
        now = self._clock()
        found = self._failures.pop(key, None)
        if not found or now - found.last > _FORGOTTEN:
            found = _Failures()
        found.count += 1
        found.last = now
        self._failures[key] = found
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)


def _keys(name: str, address: str) -> list[tuple[str, str]]:
    by_name = ("name", name[:64])
    return [by_name, ("address", _network(address))] if address else [by_name]


def _network(address: str) -> str:
    """An address, of IPv6 its /64: whoever has one of these has them all."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))

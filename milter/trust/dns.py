"""TXT records from DNS: asked once, remembered for as long as they may be, never waited for long.

``Resolver.txt`` raises ``NoSuchName`` where the name servers say that there is none (NXDOMAIN, or
no TXT there), and ``DnsFault`` where nobody could say. The difference matters: a missing key makes
a signature bad, a fault of DNS must not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from milter.errors import CoopError, StartError
from milter.trust.nameserver import parse_nameserver

# Seconds that an answer is kept: what the zone asks for, within these. Less than half a minute
# would have one key asked for with each mail of a batch; more than an hour keeps a revoked key.
_SHORTEST = 30.0
_LONGEST = 3600.0
# "There is none" is kept for less: a key that was just published should be found soon.
_LONGEST_NEGATIVE = 600.0
# A fault is kept for as long as a burst of mails lasts, lest each of them waits for its own.
_FAULT = 5.0
# Names that are remembered, and octets of an answer: together the most memory that this takes
# (32 MiB). A key of 4096 bits has 750 octets.
_NAMES = 4096
_OCTETS = 8192
# Octets of an answer by UDP; longer ones come by TCP. Passes every path unbroken (RFC 9715).
_DATAGRAM = 1232


class NoSuchName(CoopError):
    """There is no TXT record of that name: the name servers say so."""


class DnsFault(CoopError):
    """Nobody could say whether there is such a record: no answer in time, or no good one."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of a question, and until when (by the resolver's clock) it holds."""

    until: float
    records: tuple[bytes, ...] = ()
    fault: str = ""


class Resolver:
    """Asks ``nameservers`` (empty: those of /etc/resolv.conf, read once), each in its turn.

    ``deadline`` is in seconds and bounds a question with all its repeats. Raises ``StartError``
    where there is nobody to ask.
    """

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        deadline: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dns = _stub(nameservers)
        # So that each is asked once, and the first again, before time is up.
        self._dns.timeout = deadline / (len(self._dns.nameservers) + 1)
        self._deadline = deadline
        self._clock = clock
        self._known: dict[str, _Answer] = {}  # the one asked for last stands last
        self._asking: dict[str, asyncio.Task[_Answer]] = {}

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records of ``name``, each with its strings joined, in no order.

        Raises ``NoSuchName`` and ``DnsFault``, within the deadline.
        """
        full = _full_name(name)
        answer = self._remembered(full) or await self._ask(full)
        if answer.fault:
            raise DnsFault(answer.fault)
        if not answer.records:
            raise NoSuchName(f"{full} has no TXT record")
        return answer.records

    def _remembered(self, name: str) -> _Answer | None:
        answer = self._known.pop(name, None)
        if answer is None or answer.until <= self._clock():
            return None
        self._known[name] = answer
        return answer

    async def _ask(self, name: str) -> _Answer:
        """The answer to the one question under way, which goes on if this waiter gives up."""
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.create_task(self._question(name))
            self._asking[name] = asking
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(asking)

    async def _question(self, name: str) -> _Answer:
        answer = await self._resolved(name)
        self._known[name] = answer
        while len(self._known) > _NAMES:
            del self._known[next(iter(self._known))]
        return answer

    async def _resolved(self, name: str) -> _Answer:
        try:
            async with asyncio.timeout(self._deadline):
                found = await self._dns.resolve(
                    name,
                    dns.rdatatype.TXT,
                    raise_on_no_answer=False,
                    lifetime=self._deadline,
                )
        except dns.resolver.NXDOMAIN as error:
            return self._answer(_negative_ttl(error), ())
        except (TimeoutError, dns.exception.Timeout):
            return self._fault("DNS did not answer in time")
        except dns.exception.DNSException:
            return self._fault("DNS failed")
        records = tuple(b"".join(record.strings) for record in found.rrset or ())
        if sum(map(len, records)) > _OCTETS:
            return self._fault("DNS answered at too great length")
        return self._answer(found.chaining_result.minimum_ttl, records)

    def _answer(self, ttl: float, records: tuple[bytes, ...]) -> _Answer:
        longest = _LONGEST if records else _LONGEST_NEGATIVE
        return _Answer(self._clock() + min(max(ttl, _SHORTEST), longest), records)

    def _fault(self, text: str) -> _Answer:
        return _Answer(self._clock() + _FAULT, fault=text)


def _stub(nameservers: Sequence[str]) -> dns.asyncresolver.Resolver:
    """A resolver of dnspython's, which asks others and does not walk down from the root."""
    try:
        stub = dns.asyncresolver.Resolver(configure=not nameservers)
    except dns.resolver.NoResolverConfiguration as error:
        raise StartError(
            "there is no name server to ask for DKIM keys: /etc/resolv.conf names none; "
            'write one under [trust], nameservers = ["127.0.0.1:53"]'
        ) from error
    if nameservers:
        parsed = map(parse_nameserver, nameservers)
        stub.nameservers = [dns.nameserver.Do53Nameserver(*server) for server in parsed]
    stub.use_edns(0, 0, _DATAGRAM)
    return stub


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    """Seconds that a name may be taken not to exist (RFC 2308 section 5)."""
    answers: Iterable[dns.message.QueryMessage] = error.kwargs["responses"].values()
    return min(answer.resolve_chaining().minimum_ttl for answer in answers)


def _full_name(name: str) -> str:
    """``name`` from the root on, in small letters; raises ``NoSuchName`` where it cannot be one.

    U-labels are not put into ASCII here: there is more than one way to do that.
    """
    if not name.isascii():
        raise NoSuchName(f"{name!a} is no name in DNS")
    try:
        return dns.name.from_text(name).to_text().lower()
    except dns.exception.DNSException as error:
        raise NoSuchName(f"{name!a} is no name in DNS") from error

"""Commands as they come in: which they are, when they are allowed, what they carry.

Addresses and parameters are opaque octets. They are cut out, never parsed, decoded or written
anew: the next hop gets them as they came (quotes, source routes, 8-bit local parts, parameters
that we have never heard of).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from milter.smtp import reply as r
from milter.smtp.reply import Reply


class State(Enum):
    """Where a session stands."""

    CONNECTED = "connected"  # no EHLO yet
    READY = "ready"  # between mails
    MAIL = "mail"  # a sender is named, no recipient accepted yet
    RCPT = "rcpt"  # at least one recipient was accepted
    BROKEN = "broken"  # the next hop failed in the middle of a mail


_ALWAYS = frozenset(State)
_BETWEEN = frozenset({State.READY, State.BROKEN})
# In BROKEN the rest of a pipelined mail still comes in and must get a temporary answer: 503 to
# its DATA would make a client bounce the recipients that were accepted before the break.
_IN_MAIL = frozenset({State.MAIL, State.RCPT, State.BROKEN})

#: The states in which each command may come. What is not in this table is not a command.
ALLOWED: dict[bytes, frozenset[State]] = {
    b"EHLO": _ALWAYS,
    b"HELO": _ALWAYS,
    b"XFORWARD": _BETWEEN,
    b"STARTTLS": _BETWEEN,
    b"MAIL": _BETWEEN,
    b"RCPT": _IN_MAIL,
    b"DATA": _IN_MAIL,
    b"RSET": _ALWAYS,
    b"NOOP": _ALWAYS,
    b"VRFY": _ALWAYS,
    b"QUIT": _ALWAYS,
}

#: What may be said before STARTTLS where TLS is required (RFC 3207 section 4).
WITHOUT_TLS = frozenset({b"EHLO", b"STARTTLS", b"NOOP", b"RSET", b"QUIT"})


def out_of_place(verb: bytes, state: State) -> Reply:
    """The reply to a known command that may not come in ``state``."""
    if state is State.CONNECTED:
        return r.SAY_HELLO
    return r.NEED_MAIL if verb in {b"RCPT", b"DATA"} else r.NO_NESTED_MAIL


class Command(NamedTuple):
    """One command line: the verb in capitals, the rest as it came."""

    verb: bytes
    argument: bytes

    @classmethod
    def parse(cls, line: bytes) -> Command:
        """Split ``line``, which has no line end any more."""
        verb, _, argument = line.partition(b" ")
        return cls(verb.upper(), argument.strip(b" \t"))


# MAIL and RCPT: the keyword, a blank that some clients put in, the path, parameters. A quoted
# string in the path may hold anything, ">" included (RFC 5321 4.1.2).
_PATH = re.compile(
    rb"(?P<keyword>FROM|TO):[ ]?(?P<path><(?:\"(?:[^\"\\]|\\.)*\"|[^\">])*>|[^\s<>]+)"
    rb"(?:[ ]+(?P<parameters>.*))?\Z",
    re.IGNORECASE | re.DOTALL,
)
# RFC 5321 appendix C: "@a,@b:" before the address, to be ignored.
_SOURCE_ROUTE = re.compile(rb"\A@[^:\"]*:")
_NOT_IN_DOMAIN = re.compile(r"[^a-z0-9.\-_\[\]:]")
# What Postfix reads over in an address (RFC 822): comments and blanks outside of quotes, quotes and
# backslashes that nothing needs. Whoever writes them means the same mailbox, and may hope that a
# filter takes it for another one.
_NOTHING = re.compile(rb'("(?:[^"\\]|\\.)*+")|\((?:[^()"\\]|\\.)*+\)|[ \t]+', re.DOTALL)
_NESTED = 8  # comments, one in the other
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*+)"|\\(.)', re.DOTALL)
_ATOM = rb'[^\x00-\x20\x7f()<>\[\]:;@\\,".]++'
_DOT_ATOM = re.compile(rb"%b(?:\.%b)*+" % (_ATOM, _ATOM))
_USUAL = re.compile(rb"%b(?:\.%b)*+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++)*+" % (_ATOM, _ATOM))
# A control character inside a command could start a line of its own further down.
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Address:
    """A path with its parameters, in the sender's own octets.

    ``path`` includes the angle brackets; they are added where a client left them out, because
    Postfix's default would refuse that.
    """

    path: bytes
    parameters: bytes

    @classmethod
    def parse(cls, keyword: bytes, argument: bytes) -> Address | None:
        """Read the argument of MAIL (``FROM``) or RCPT (``TO``); None where it is not one."""
        match = _PATH.match(argument)
        if not match or match["keyword"].upper() != keyword or _CONTROL.search(argument):
            return None
        path = match["path"]
        if not path.startswith(b"<"):
            path = b"<" + path + b">"
        return cls(path, match["parameters"] or b"")

    @property
    def domain(self) -> str:
        """The domain as far as it is printable ASCII: for logs, which name no full address."""
        domain = self.path.rstrip(b">").rpartition(b"@")[2] if b"@" in self.path else b""
        text = domain.decode("ascii", "replace").lower()
        return _NOT_IN_DOMAIN.sub("?", text)[:255]

    @property
    def mailbox(self) -> str:
        """The address as people compare it: no brackets or source route, ASCII in small letters.

        Nor is there anything else in it that names no other mailbox: the root's dot, needless
        quotes, comments. RFC 5321 2.4 lets a host tell capitals in local parts apart; none does.
        Other letters stay: strauß@ and strauss@ are two people. What is no UTF-8 is written as
        ``\\xNN``.
        """
        bare = _SOURCE_ROUTE.sub(b"", self.path.removeprefix(b"<").removesuffix(b">"))
        local, at, domain = bare.rpartition(b"@")
        if at and not _USUAL.fullmatch(bare):
            bare = _plain(local) + at + _without_comments(domain).rstrip(b".")
        return bare.lower().decode("utf-8", "backslashreplace")

    def wants(self, parameter: bytes) -> bool:
        """Whether ``parameter`` (a keyword in capitals) is among the parameters."""
        return any(word.partition(b"=")[0].upper() == parameter for word in self.parameters.split())

    def without(self, parameter: bytes) -> Address:
        """The same address without ``parameter`` (a keyword in capitals), all else untouched."""
        words = self.parameters.split(b" ")
        kept = [word for word in words if word.partition(b"=")[0].upper() != parameter]
        return Address(self.path, b" ".join(kept))

    @property
    def size(self) -> int:
        """The SIZE that the sender declared (RFC 1870), 0 where it did not."""
        for word in self.parameters.split():
            name, _, value = word.partition(b"=")
            if name.upper() == b"SIZE" and value.isdigit():
                return int(value[:20])
        return 0

    def __bytes__(self) -> bytes:
        return self.path + (b" " + self.parameters if self.parameters else b"")


def _plain(local: bytes) -> bytes:
    """A local part without what it does not need; as it is where it does need it."""
    plain = _QUOTED.sub(_unquoted, _without_comments(local))
    return plain if _DOT_ATOM.fullmatch(plain) else local


def _unquoted(match: re.Match[bytes]) -> bytes:
    return match[2] or re.sub(rb"\\(.)", rb"\1", match[1], flags=re.DOTALL)


def _without_comments(octets: bytes) -> bytes:
    for _ in range(_NESTED):
        before, octets = octets, _NOTHING.sub(lambda match: match[1] or b"", octets)
        if octets == before:
            break
    return octets

"""SMTP replies: the ones we make, and the exact octets of those that the next hop makes.

Every reply that the filter itself can give stands here by name (RFC 5321 section 4.2, enhanced
codes by RFC 3463). Texts are short and general: the cause goes to the log under the mail's id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# RFC 5321 4.5.3.1.5 asks for 512 octets a line; servers send more, so be generous, but bounded.
MAX_REPLY_LINE = 4096
# An EHLO reply has some 15 lines; a refusal has a few. Past this the next hop is not sane.
MAX_REPLY_LINES = 128
# Octets of a reply that is remembered; an EHLO reply has some 300.
_SHORT = 1024

_UNPRINTABLE = re.compile(r"[^ -~]")
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r?\n", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: its code, and its octets as they go over the wire, CRLF included."""

    code: int
    octets: bytes

    @classmethod
    def of(cls, code: int, enhanced: str, *lines: str) -> Reply:
        """A reply of our own, of one or more lines, each with the enhanced code if there is one."""
        texts = [f"{enhanced} {line}" if enhanced else line for line in lines]
        marks = ["-"] * (len(texts) - 1) + [" "]
        octets = "".join(f"{code}{mark}{text}\r\n" for mark, text in zip(marks, texts, strict=True))
        return cls(code, octets.encode("ascii"))

    @property
    def positive(self) -> bool:
        """Whether the command was done (2xx)."""
        return 200 <= self.code < 300

    @property
    def final(self) -> bool:
        """Whether this may stand as the answer to MAIL, RCPT or the final dot: 2xx, 4xx, 5xx."""
        return not 300 <= self.code < 400

    @property
    def texts(self) -> list[bytes]:
        """The text of each line, without code and line end."""
        return [line[4:] for line in self.octets.split(b"\r\n")[:-1]]

    def __str__(self) -> str:
        """The reply on one line, for the log, with nothing in it that is not printable ASCII."""
        text = b" / ".join(self.octets.split(b"\r\n")[:-1]).decode("ascii", "replace")
        return _UNPRINTABLE.sub("?", text)[:300]


class ReplyReader:
    """Collects one reply from octets as they come in; holds no socket.

    ``feed`` returns the reply once it is whole, None before that, and raises ``ValueError`` for
    octets that are no reply. A bare LF at a line's end is read (RFC 5321 2.3.8 forbids to send
    it, some do), and handed on as CRLF; unprintable octets are handed on as ``?``, so that
    nothing the next hop says can start a line of its own towards the sender.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[bytes] = []
        self._code = b""

    def feed(self, data: bytes) -> Reply | None:
        """Take octets in; return the reply if they complete it."""
        if not self._buffer and not self._lines and (reply := _whole(data)):
            return reply
        return self.read(data)

    def read(self, data: bytes) -> Reply | None:
        """As ``feed``, but whatever was read before is not looked up."""
        self._buffer += data
        while match := _LINE.match(self._buffer):
            self._buffer = self._buffer[match.end() :]
            if match.end() > MAX_REPLY_LINE:
                raise ValueError("an overlong line in a reply")
            if self._add(*match.groups(b"")):
                if self._buffer:
                    raise ValueError("octets behind a reply")
                reply = Reply(int(self._code), b"".join(self._lines))
                self._lines, self._code = [], b""
                return reply
        if b"\n" in self._buffer or len(self._buffer) > MAX_REPLY_LINE:
            raise ValueError("not an SMTP reply")
        return None

    def _add(self, code: bytes, mark: bytes, text: bytes) -> bool:
        """Take one line in; whether it was the last."""
        if self._code and code != self._code:
            raise ValueError("a reply of several lines changes its code")
        if len(self._lines) >= MAX_REPLY_LINES:
            raise ValueError("a reply of too many lines")
        self._code = code
        printable = re.sub(rb"[^\t\x20-\x7e\x80-\xff]", b"?", text)
        self._lines.append(code + (mark or b" ") + printable + b"\r\n")
        return mark != b"-"


@lru_cache(maxsize=64)  # servers say the same all day, an EHLO reply of many lines above all
def _whole(octets: bytes) -> Reply | None:
    """The reply that ``octets`` are; None where they are none, more than one, or very long."""
    if len(octets) > _SHORT:
        return None
    try:
        return ReplyReader().read(octets)
    except ValueError:
        return None


OK = Reply.of(250, "2.0.0", "OK")
BYE = Reply.of(221, "2.0.0", "Bye")
GO_AHEAD = Reply.of(354, "", "End data with <CR><LF>.<CR><LF>")
VRFY_UNSURE = Reply.of(252, "2.5.2", "Cannot VRFY, but will take a mail and try")

TLS_GO_AHEAD = Reply.of(220, "2.0.0", "Ready to start TLS")
SHUTTING_DOWN = Reply.of(421, "4.3.2", "The filter is shutting down, try again")
TOO_SLOW = Reply.of(421, "4.4.2", "Timeout waiting for you")
TOO_MANY_SESSIONS = Reply.of(421, "4.3.2", "Too many connections, try again")
TOO_MANY_ERRORS = Reply.of(421, "4.7.0", "Too many errors")
TOO_MANY_COMMANDS = Reply.of(421, "4.7.0", "Too many commands without a mail")
MUCH_TOO_LARGE = Reply.of(421, "4.3.4", "The mail is far larger than the filter takes")
OCTETS_BEHIND_DATA = Reply.of(421, "4.7.0", "Octets behind the end of data, nothing was delivered")
NEXT_HOP_DOWN = Reply.of(451, "4.4.1", "The next mail server cannot be reached, try again")
NEXT_HOP_LOST = Reply.of(451, "4.4.2", "The next mail server broke off, try again")
LOCAL_FAULT = Reply.of(451, "4.3.0", "Local fault, try again")
DISK_FAULT = Reply.of(452, "4.3.1", "Cannot store the mail, try again")

LINE_TOO_LONG = Reply.of(500, "5.5.2", "Command line too long")
BARE_LF = Reply.of(521, "5.5.2", "A command must end in <CR><LF>")
UNKNOWN_COMMAND = Reply.of(500, "5.5.2", "Command not recognized")
BAD_SYNTAX = Reply.of(501, "5.5.4", "Syntax error in the command's argument")
NO_ARGUMENT = Reply.of(501, "5.5.4", "This command takes no argument")
SAY_HELLO = Reply.of(503, "5.5.1", "Send EHLO first")
NO_NESTED_MAIL = Reply.of(503, "5.5.1", "A mail is under way, finish it or send RSET")
NEED_MAIL = Reply.of(503, "5.5.1", "Send MAIL first")
ONE_MAIL_ONLY = Reply.of(503, "5.5.1", "One mail a connection in front of the queue")
ONE_RECIPIENT = Reply.of(452, "4.5.3", "One recipient a mail here, send the others another copy")
NO_TLS = Reply.of(502, "5.5.1", "TLS is not offered here, or is on already")
TLS_FIRST = Reply.of(530, "5.7.0", "Send STARTTLS first")
NO_RECIPIENTS = Reply.of(554, "5.5.1", "No valid recipients")
NO_PEER = Reply.of(550, "5.7.0", "XFORWARD is not for you")
MAIL_LOOP = Reply.of(554, "5.4.6", "Too many hops: this mail is going round in circles")
STRAY_LINE_END = Reply.of(550, "5.5.2", "The mail has a bare <CR> or <LF>")
# Our limit is our fault, not the mail's: temporary, so that an admin can raise it in time.
TOO_LARGE = Reply.of(452, "4.3.4", "The mail is larger than the filter takes")
NO_SMTPUTF8 = Reply.of(553, "5.6.7", "The next mail server does not take SMTPUTF8")

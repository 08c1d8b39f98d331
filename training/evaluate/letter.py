"""A mail taken apart and put together again, as a sender does who writes it anew."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from email.charset import BASE64, Charset
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP

from milter.mail import header
from milter.mail.text import read_text

_OF_BODY = re.compile(
    rb"^(?:Content-[!-9;-~]+|MIME-Version)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*+",
    re.IGNORECASE | re.MULTILINE,
)
_SUBJECT = re.compile(rb"^Subject[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*+", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail without its form.

    ``head``: the fields of its header but for those that describe the body (octets); ``own`` and
    ``quoted``: what its reader sees, and what of that is not its writer's.
    """

    head: bytes
    subject: str
    own: str
    quoted: str

    @classmethod
    def open(cls, content: bytes) -> Letter:
        """Take a mail apart; what is hidden in it, or attached to it, is lost."""
        end, _ = header.body_range(content, 0, len(content))
        head = content[:end]
        if head and not head.endswith(b"\n"):
            head += b"\r\n"
        mail = read_text(content)
        own = mail.body.rstrip() + ("\n\n" + mail.signature if mail.signature else "")
        return cls(_OF_BODY.sub(b"", head), mail.subject, encodable(own), encodable(mail.quoted))

    @property
    def text(self) -> str:
        """Own words, then quoted ones as mail clients mark them."""
        quoted = "\n" + quotation(self.quoted) if self.quoted.strip() else ""
        return self.own.rstrip() + "\n" + quoted

    def with_subject(self, subject: str) -> Letter:
        """The letter under a subject, as encoded words in base64 (RFC 2047)."""
        charset = Charset("utf-8")
        charset.header_encoding = BASE64
        written = Header(encodable(subject), charset, header_name="Subject").encode(linesep="\r\n")
        field = f"Subject: {written}\r\n".encode("ascii")
        return replace(self, head=_SUBJECT.sub(b"", self.head) + field, subject=subject)

    def sent(self, body: EmailMessage) -> bytes:
        """The whole mail with ``body``, whose boundary would otherwise be a new one each time."""
        if body.is_multipart():
            body.set_boundary("=_next_part_of_this_mail")
        return self.head + body.as_bytes(policy=SMTP)

    def as_plain(self, text: str, encoding: str = "quoted-printable") -> bytes:
        """The whole mail with ``text`` as its one part."""
        body = EmailMessage()
        body.set_content(text, cte=encoding)
        return self.sent(body)


def encodable(text: str) -> str:
    """Without what no mail can hold: lone surrogates, and CR."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\r", " ")


def quotation(text: str) -> str:
    """The text as mail clients quote it."""
    return "".join(f"> {line}\n" for line in text.strip().split("\n"))


def in_html(text: str) -> str:
    """Plain text as paragraphs."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n".join(f"<p>{html.escape(p).replace(chr(10), '<br>')}</p>" for p in paragraphs)

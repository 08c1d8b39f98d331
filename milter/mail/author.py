"""The author of a mail: the one mailbox of its one From field (RFC 5322 3.6.2), or nobody.

Trust goes to an address, so what could be read in two ways names nobody here: two From fields or
two mailboxes, a group, an address taken apart by blanks or comments, a route. What stands in the
display name is never an address, however much it looks like one.

Python's own parser is not used: it repairs what it cannot read, and takes time that grows with the
square of the field's length.
"""

from __future__ import annotations

import re
import unicodedata

from milter.mail import header

# Octets of a From field. Real ones have 100; what is longer is made to confuse.
_LONGEST = 2000
# RFC 5321 4.5.3.1: 64 for the local part, 255 for the domain. Some hosts have longer local parts.
_LONGEST_MAILBOX = 320
_LONGEST_DOMAIN = 253

# A From field in any spelling that some program takes for one.
_FROM = re.compile(rb"^From[\x00-\x20\x7f-\xff]*+:", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+)
    | (?P<atom>[^\x00-\x20\x7f()<>\[\]:;@\\,"]+)
    | (?P<quoted>"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x20-\x7e])*+")
    | (?P<literal>\[[^\[\]\\\x00-\x20\x7f-\U0010ffff]*+\])
    | (?P<special>[<>@])""",
    re.VERBOSE,
)
_KINDS = {"blank": " ", "atom": "a", "quoted": "q", "literal": "l"}
# An addr-spec alone, or behind a display name in angle brackets. Display names with an @ that
# should have been quoted are common, and every reader takes the address in the brackets.
_MAILBOX = re.compile(r" ?(?:[aq@ ]*< ?([aq]@[al]) ?>|([aq]@[al])) ?")
_COMMENT_MARK = re.compile(r"[()]|\\.")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")
_DOT_ATOM = re.compile(r'[^\x00-\x20\x7f()<>\[\]:;@\\,".]+(?:\.[^\x00-\x20\x7f()<>\[\]:;@\\,".]+)*')


def author(head: bytes) -> str | None:
    """The author's mailbox as ``normalised`` writes it; None where it is not certain.

    ``head``: the mail from its beginning, with the whole header.
    """
    end, _ = header.body_range(head, 0, len(head))
    values = [value for name, value in header.fields(head[:end]) if name == b"from"]
    # Some readers go on to the first empty line, past a line that is no field.
    if len(values) != 1 or len(_FROM.findall(head, 0, header.end_of_header(head))) != 1:
        return None
    return only_mailbox(values[0])


def normalised(mailbox: str) -> str | None:
    """``mailbox`` as it is compared everywhere here: in small letters, its domain in ASCII.

    None where it is no mailbox, such as the null sender. RFC 5321 2.4 lets a host tell capitals
    in local parts apart; none does.
    """
    local, at, domain = mailbox.rpartition("@")
    if local.startswith('"') and local.endswith('"'):
        bare = re.sub(r"\\(.)", r"\1", local[1:-1])
        local = bare if _DOT_ATOM.fullmatch(bare) else local
    domain = ascii_domain(domain)
    if not at or not local or not domain or len(mailbox) > _LONGEST_MAILBOX:
        return None
    return f"{unicodedata.normalize('NFC', local).casefold()}@{domain}"


def ascii_domain(domain: str) -> str:
    """``domain`` in small ASCII letters (RFC 5890 A-labels), or an address literal.

    Empty where it is neither. Other scripts are read as mail programs read them (UTS 46, with
    nothing of its transition: ``ß`` stays one).
    """
    if len(domain) > _LONGEST_DOMAIN:
        return ""
    if domain.startswith("[") and domain.endswith("]"):
        return domain.lower() if domain.isascii() else ""
    small = domain.lower() if domain.isascii() else _a_labels(domain)
    labels = small.removesuffix(".").split(".")
    return small.removesuffix(".") if all(_LABEL.fullmatch(label) for label in labels) else ""


def _a_labels(domain: str) -> str:
    import idna  # tables of half a megabyte, which few mails need

    try:
        mapped = idna.uts46_remap(domain, std3_rules=False, transitional=False)
        # ASCII may have what IDNA leaves out: an underscore.
        labels = [x if x.isascii() else idna.alabel(x).decode() for x in mapped.split(".")]
    except idna.IDNAError:
        return ""
    return ".".join(labels)


def only_mailbox(value: bytes) -> str | None:
    """The mailbox of an address field that has just one, as ``normalised`` writes it."""
    if len(value) > _LONGEST:
        return None
    tokens = _tokens(value.decode("utf-8", "replace"))  # display names have 8-bit of any kind
    kinds = "".join(kind for kind, _ in tokens)
    match = _MAILBOX.fullmatch(kinds)
    if not match:
        return None
    start, end = match.span(match.lastindex or 0)
    local, _, domain = (text for _, text in tokens[start:end])
    # A reader that decodes words here too shows another address; and what is no UTF-8 is none.
    if "=?" in local or "\ufffd" in local:
        return None
    return normalised(f"{local}@{domain}")


def _tokens(text: str) -> list[tuple[str, str]]:
    """``text`` as kinds (a letter each, see ``_KINDS``) and texts; comments are blanks.

    Empty where anything in it is none of these.
    """
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at] == "(":
            kind, end = " ", _end_of_comment(text, at)
        elif match := _TOKEN.match(text, at):
            kind, end = _KINDS.get(match.lastgroup or "", match[0]), match.end()
        else:
            return []
        if not end:
            return []
        if kind != " " or not found or found[-1][0] != " ":
            found.append((kind, text[at:end]))
        at = end
    return found


def _end_of_comment(text: str, start: int) -> int:
    """The offset behind the comment that begins at ``start``; 0 where it does not end."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return 0

"""The table of outcomes: signed mails, changed and unchanged, and what each comes to."""

from __future__ import annotations

from dataclasses import dataclass

from trust.signing import (
    MAIL,
    Sign,
    sign,
)

from milter.trust.outcome import Dkim

PASS, FAIL, UNKNOWN, NONE = Dkim.PASS, Dkim.FAIL, Dkim.UNKNOWN, Dkim.NONE


@dataclass(frozen=True)
class Row:
    """A mail, signed, then changed; what it comes to for its author's domain, and why."""

    what: str
    outcome: Dkim
    why: str
    signs: tuple[Sign, ...] = (sign(),)
    change: tuple[bytes, bytes] = (b"", b"")
    author: str = "author.example"
    mail: bytes = MAIL


GOOD = "signature is good"
WRONG = sign(bh="AAAA")
FOREIGN = sign(d="foreign.example")
UPPER = (b"From: Anna", b"X-New: 1\r\nFrom: Anna")

THE_TABLE = (
    Row("good", PASS, GOOD),
    Row("body changed", FAIL, "body", change=(b"1,200", b"9,200")),
    Row("subject changed", FAIL, "header", change=(b"Your", b"My")),
    Row("author changed", FAIL, "header", change=(b"<anna@", b"<bert@")),
    Row("revoked key", FAIL, "revoked", (sign(s="revoked"),)),
    Row("expired", FAIL, "expired", (sign(t="now-9000", x="now-3600"),)),
    Row("two From", FAIL, "one From", change=(b"From:", b"From: b@example.net\r\nFrom:")),
    Row("two From, one with a blank", FAIL, "one From", change=(b"To:", b"From : b@a.test\r\nTo:")),
    Row("two From, both signed", FAIL, "one From", mail=b"From: b@example.net\r\n" + MAIL),
    Row("l= of the whole body", FAIL, "l=", (sign(l="54"),)),
    Row("l= of nothing", FAIL, "l=", (sign(l="0"),), change=(b"1,200", b"9,200")),
    Row("rsa-sha1", FAIL, "sha1", (sign(a="rsa-sha1"),)),
    Row("six, the sixth good", FAIL, "body", (*[WRONG] * 5, sign())),
    Row("six, five foreign, the sixth good", NONE, "no signature", (*[FOREIGN] * 5, sign())),
    Row("six, the first good", PASS, GOOD, (sign(), *[WRONG] * 5)),
    Row("six, the fifth good", PASS, GOOD, (*[WRONG] * 4, sign(), WRONG)),
    Row("key missing", FAIL, "no key", (sign(s="missing"),)),
    Row("key of 1000 bits", FAIL, "1000 bits", (sign("small", s="small"),)),
    Row("key of 512 bits", FAIL, "512 bits", (sign("tiny", s="tiny"),)),
    Row("key for tests", NONE, "tests", (sign(s="testing"),)),
    Row("key for tests, mail changed", NONE, "tests", (sign(s="testing"),), (b"1,200", b"9,200")),
    Row("SERVFAIL", UNKNOWN, "DNS failed", (sign(d="broken.example"),), author="broken.example"),
    Row("REFUSED", UNKNOWN, "DNS failed", (sign(d="nobody.test"),), author="nobody.test"),
    Row("not signed", NONE, "not signed", ()),
    Row("not aligned", NONE, "no signature", (FOREIGN,)),
    Row("not aligned, and a bad one", FAIL, "body", (FOREIGN, WRONG)),
    Row("not aligned, and a good one", PASS, GOOD, (FOREIGN, sign())),
)

FORMS = (
    Row("simple/simple", PASS, GOOD, (sign(c="simple/simple"),)),
    Row("simple/relaxed", PASS, GOOD, (sign(c="simple/relaxed"),)),
    Row("relaxed", PASS, GOOD, (sign(c="relaxed"),)),
    Row("no c=", PASS, GOOD, (sign(c=None),)),
    Row("simple, blanks changed", FAIL, "body", (sign(c=None),), (b"for  1", b"for 1")),
    Row("relaxed, blanks changed", PASS, GOOD, change=(b"for  1", b"for 1")),
    Row("empty lines behind", PASS, GOOD, change=(b"regards\r\n", b"regards\r\n\r\n\r\n")),
    Row("no body", PASS, GOOD, mail=MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
    Row("no body, simple", PASS, GOOD, (sign(c=None),), mail=MAIL.split(b"The")[0]),
    Row("a field that is not signed", PASS, GOOD, change=UPPER),
    Row("a subject added below", FAIL, "header", change=(b"\r\n\r\n", b"\r\nSubject: X\r\n\r\n")),
    Row("From signed twice", PASS, GOOD, (sign(h="from:from:subject"),)),
    Row("a server's From line", PASS, GOOD, change=(b"DKIM-S", b"From a Mon Nov 23\r\nDKIM-S")),
    Row("capitals in d= and s=", PASS, GOOD, (sign(d="Author.EXAMPLE", s="GOOD"),)),
    Row("capitals in the author", PASS, GOOD, author="AUTHOR.Example"),
    Row("i= of the domain", PASS, GOOD, (sign(i="@author.example"),)),
    Row("i= below the domain", PASS, GOOD, (sign(i="anna@news.author.example"),)),
    Row("t= a minute ahead", PASS, GOOD, (sign(t="now+60"),)),
    Row("no t=", PASS, GOOD, (sign(t=None),)),
    Row("not yet expired", PASS, GOOD, (sign(x="now+60"),)),
)

ALIGNMENT = (
    Row("author below d=", PASS, GOOD, author="news.author.example"),
    Row("author above d=", NONE, "no signature", (sign(d="news.author.example"),)),
    Row(
        "author beside d=", NONE, "no", (sign(d="news.author.example"),), author="a.author.example"
    ),
    Row("author ends in d=", NONE, "no signature", author="notauthor.example"),
    Row("top-level domain", NONE, "no signature", (sign(d="example"),)),
    Row("no author", NONE, "no signature", author=""),
    Row("author with an address literal", NONE, "no signature", author="[192.0.2.1]"),
    Row(
        "Kelvin sign for k",
        NONE,
        "no signature",
        (sign(d="kin.example"),),
        author="\u212ain.example",
    ),
    Row("k for k", PASS, GOOD, (sign(d="kin.example"),), author="kin.example"),
)

# Domains in other scripts: as A-labels (RFC 6376), or as U-labels (RFC 8616).
BOOKS, STREET = "xn--bcher-kva.example", "xn--strae-oqa.example"
READ = "bücher.example"
BELOW = sign(d=READ, i=f"ä@a.{READ}")
SCRIPTS = (
    Row("A-labels in d=", PASS, GOOD, (sign(d=BOOKS),), author=BOOKS),
    Row("U-labels in d=", PASS, GOOD, (sign(d=READ),), author=BOOKS),
    Row("U-labels in capitals", PASS, GOOD, (sign(d=READ.upper()),), author=BOOKS),
    Row("U-labels composed otherwise", PASS, GOOD, (sign(d="bu\u0308cher.example"),), author=BOOKS),
    Row("U-labels, the author below", PASS, GOOD, (sign(d=READ),), author=f"a.{BOOKS}"),
    Row("U-labels in i= and d=", PASS, GOOD, (BELOW,), author=BOOKS),
    # dkimpy compares i= and d= octet by octet.
    Row("U-labels in i= only", FAIL, "header", (sign(d=BOOKS, i=f"@{READ}"),), author=BOOKS),
    Row("U-labels in s=", PASS, GOOD, (sign(s="grün"),)),
    Row("U-labels in s=, no key there", FAIL, "no key", (sign(s="gün"),)),
    Row("ß is not ss", NONE, "no signature", (sign(d="strasse.example"),), author=STREET),
    Row("U-labels of another", NONE, "no signature", (sign(d=READ),), author=STREET),
    Row("no letters", NONE, "no signature", (sign(d="b☃cher.example"),), author=BOOKS),
)

WRONG_TAGS = (
    Row("v=2", FAIL, "v=", (sign(v="2"),)),
    Row("no v=", FAIL, "v=", (sign(v=None),)),
    Row("unknown a=", FAIL, "a=", (sign(a="rsa-sha512"),)),
    Row("unknown c=", FAIL, "c=", (sign(c="relaxed/nowsp"),)),
    Row("c= of three", FAIL, "c=", (sign(c="relaxed/relaxed/simple"),)),
    Row("unknown q=", FAIL, "q=", (sign(q="dns/other"),)),
    Row("q=dns/txt", PASS, GOOD, (sign(q="dns/txt"),)),
    Row("From not signed", FAIL, "From is not", (sign(h="to:subject"),)),
    Row("empty h=", FAIL, "From is not", (sign(h=""),)),
    Row("endless h=", FAIL, "h=", (sign(h="from" + ":x" * 200),)),
    Row("bh= is no base64", FAIL, "bh=", (sign(bh="!"),)),
    Row("b= is no base64", FAIL, "b=", change=(b" b=", b" b=!")),
    Row("t= in the future", FAIL, "future", (sign(t="now+86400"),)),
    Row("t= is no number", FAIL, "no time", (sign(t="yesterday"),)),
    Row("t= of 5000 digits", FAIL, "no time", (sign(t="9" * 5000),)),
    Row("x= before t=", FAIL, "before it was made", (sign(t="now-10", x="now-60"),)),
    Row("i= of somebody else", FAIL, "i=", (sign(i="@foreign.example"),)),
    Row("i= only ends like d=", FAIL, "i=", (sign(i="@notauthor.example"),)),
    Row("i= without @", FAIL, "i=", (sign(i="author.example"),)),
    Row("a tag twice", NONE, "no signature", change=(b"v=1;", b"v=1; v=1;")),
    Row("no tags at all", NONE, "no signature", change=(b"v=1;", b"v;")),
    Row("no d=", NONE, "no signature", (sign(d=None),)),
    Row("no s=", NONE, "no signature", (sign(s=None),)),
    Row("thousands of blanks", NONE, "no signature", change=(b" bh=", b" " * 5000 + b"bh=")),
    Row("endless", NONE, "no signature", (sign(z="x" * 9000),)),
)

WRONG_KEYS = (
    Row("v=DKIM2", FAIL, "no readable key", (sign(s="version"),)),
    Row("another record", FAIL, "no readable key", (sign(s="spf"),)),
    Row("two keys", FAIL, "several keys", (sign(s="twice"),)),
    Row("a key and another record", PASS, GOOD, (sign(s="both"),)),
    Row("key of another type", FAIL, "type", (sign(s="ed448"),)),
    Row("key for sha1", FAIL, "sha256", (sign(s="sha1"),)),
    Row("key for both hashes", PASS, GOOD, (sign(s="hashes"),)),
    Row("key for another service", FAIL, "mail", (sign(s="tlsrpt"),)),
    Row("key for mail too", PASS, GOOD, (sign(s="services"),)),
    Row("key asks for i= like d=", PASS, GOOD, (sign(s="strict"),)),
    Row(
        "key asks for i= like d=, it is below",
        FAIL,
        "i=",
        (sign(s="strict", i="@a.author.example"),),
    ),
    Row("no base64", FAIL, "damaged", (sign(s="garbled"),)),
    Row("cut off", FAIL, "damaged", (sign(s="cut"),)),
    Row("parameters where none may be", FAIL, "damaged", (sign(s="null"),)),
    Row("another key", FAIL, "header", (sign(s="other"),)),
    Row("8192 bits", FAIL, "more than 4096", (sign(s="wide"),)),
    Row("even modulus", FAIL, "no RSA key", (sign(s="even"),)),
    Row("exponent 1", FAIL, "no RSA key", (sign(s="one"),)),
    Row("exponent as wide as the key", FAIL, "no RSA key", (sign(s="slow"),)),
    Row("key without v= and k=", PASS, GOOD, (sign(s="bare"),)),
    Row("key in small strings, with blanks", PASS, GOOD, (sign(s="strings"),)),
    Row("key behind an alias", PASS, GOOD, (sign(s="alias"),)),
    Row("no TXT there", FAIL, "no key", (sign(s="address"),)),
)


def ed(key: str = "ed", s: str = "ed", **tags: str | None) -> Sign:
    return sign(key, **({"a": "ed25519-sha256", "s": s} | tags))


ED25519 = (
    Row("ed25519", PASS, GOOD, (ed(),)),
    Row("ed25519, simple", PASS, GOOD, (ed(c=None),)),
    Row("ed25519, body changed", FAIL, "body", (ed(),), (b"1,200", b"9,200")),
    Row("ed25519, subject changed", FAIL, "header", (ed(),), (b"Your", b"My")),
    Row("ed25519, and a bad one", PASS, GOOD, (WRONG, ed())),
    Row("bad ed25519, and a good one", PASS, GOOD, (ed(bh="AAAA"), sign())),
    Row("ed25519, another key", FAIL, "header", (ed("another"),)),
    Row("ed25519, key for tests", NONE, "tests", (ed(s="ed-testing"),)),
    # dkimpy goes by the key alone, and takes the first of these three.
    Row("made and published as ed25519, a= of RSA", FAIL, "type", (sign("ed", s="ed"),)),
    Row("a= of RSA, key of ed25519", FAIL, "type", (sign(s="ed"),)),
    Row("a= of ed25519, key of RSA", FAIL, "type", (ed(s="good"),)),
    Row("made and published as RSA, a= of ed25519", FAIL, "length", (ed("good", s="good"),)),
    Row("ed25519, too short", FAIL, "length", (ed("short"),)),
    Row("ed25519, key too short", FAIL, "damaged", (ed(s="ed-short"),)),
    Row("ed25519, key written as those of RSA", FAIL, "damaged", (ed(s="ed-der"),)),
    # A point of order 1: by the bare equation, this signature fits every mail (RFC 8032 8.4).
    Row("ed25519, key that fits everything", FAIL, "header", (ed("one", s="ed-one"),)),
)

#: Labels that would ask for something else in DNS, or stand in a log as something else.
LABELS = (
    "x\x00",
    "/../x",
    "a\\",
    "a\\000",
    'a"',
    "<b>",
    "\x1b[31m",
    "x y",
    "x\ty",
    "x\r\n y",
    "\u2603",
    "*",
    "@",
    ".",
    "-",
    "",
    "x=x",
    "a" * 64,
    "a." * 200 + "a",
    "%(asctime)s",
    "{0}",
)
LITTLE = (
    *(Row(f"{x!a} in d=", NONE, "no signature", (sign(d=f"{x}.author.example"),)) for x in LABELS),
    *(Row(f"{x!a} in s=", NONE, "no signature", (sign(s=x),)) for x in LABELS),
    Row("dot behind d=", NONE, "no signature", (sign(d="author.example."),)),
    Row("s= of many labels", FAIL, "no key", (sign(s="a.b.c.d"),)),
)

HEADERS = (
    Row("a line that is no field", FAIL, "no field", change=(b"To:", b"nothing\r\nTo:")),
    Row("a From line in between", FAIL, "no field", change=(b"To:", b"From a Mon\r\nTo:")),
    Row("a blank before the colon", FAIL, "header", change=(b"To:", b"To :")),
    Row("a folded line on top", FAIL, "no field", change=(b"DKIM-S", b" x\r\nDKIM-S")),
    Row("no From", FAIL, "one From", change=(b"From:", b"Form:")),
    Row("the header only", FAIL, "body", change=(MAIL[MAIL.index(b"\r\n\r\n") + 2 :], b"")),
    Row(
        "a very long header",
        UNKNOWN,
        "too long",
        change=(b"To:", b"X: " + b"x" * 140000 + b"\r\nTo:"),
    ),
    Row("very many fields", UNKNOWN, "too many", change=(b"To:", b"X:\r\n" * 1000 + b"To:")),
)

ROWS = (
    *THE_TABLE,
    *FORMS,
    *ALIGNMENT,
    *SCRIPTS,
    *WRONG_TAGS,
    *WRONG_KEYS,
    *ED25519,
    *LITTLE,
    *HEADERS,
)

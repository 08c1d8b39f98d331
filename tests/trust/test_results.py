"""Authentication-Results: only our host's, only where no sender can write, only the plain form."""

from __future__ import annotations

import re
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.ports import listens, wait_until
from harness.postfix import need, running_postfix
from harness.tiny_milter import running_milter
from hypothesis import given
from hypothesis import strategies as st

from milter.mail.folder import as_content
from milter.trust.results import passed

HOST = "mx.example.test"
OURS = b"Received: from client (client [192.0.2.1]) by mx.example.test; Mon, 23 Nov 2026\r\n"
THEIRS = b"Received: from elsewhere by client.example.com; Mon, 23 Nov 2026\r\n"


def signature(domain: bytes = b"example.org", more: bytes = b"") -> bytes:
    return (
        b"DKIM-Signature: v=1; a=rsa-sha256; s=sel; h=from; bh=YQ==; b=YQ==; d="
        + domain
        + more
        + b"\r\n"
    )


REST = b"From: anna@example.org\r\nSubject: x\r\n"


def field(value: bytes, host: bytes = HOST.encode()) -> bytes:
    return b"Authentication-Results: " + host + b";" + value + b"\r\n"


PASS = field(b" dkim=pass header.d=example.org")


def good(*parts: bytes, author: str = "example.org") -> bool:
    return passed(b"".join(parts) + b"\r\n" + PASS, HOST, author)


PLAIN = {
    "short": b" dkim=pass header.d=example.org",
    "folded": b"\r\n\tdkim=pass header.d=example.org",
    "OpenDKIM": b"\r\n\tdkim=pass (2048-bit key; unprotected) header.d=example.org"
    b" header.i=@example.org header.a=rsa-sha256 header.s=sel header.b=aB+/3w==;"
    b"\r\n\tdkim-atps=neutral",
    "OpenDKIM with a reason": b' dkim=pass (1024-bit key) reason="insecure key"'
    b' header.d=example.org header.i=@example.org header.b="aB+/3w=="',
    "rspamd": b"\r\n\tdkim=pass header.d=example.org header.s=sel header.b=aBcD1234;"
    b"\r\n\tspf=pass (mx: domain of anna@example.org designates 192.0.2.1 as permitted sender)"
    b" smtp.mailfrom=anna@example.org",
    "second of two": b" dkim=fail header.d=example.net header.i=@example.net;"
    b" dkim=pass header.d=example.org",
    "user in i=": b" dkim=pass header.d=example.org header.i=anna@mail.example.org",
    "capitals in d=": b" dkim=pass header.d=Example.ORG",
}


@pytest.mark.parametrize("case", PLAIN)
@pytest.mark.parametrize("above", [True, False])
def test_the_plain_form(case: str, above: bool) -> None:
    result = field(PLAIN[case])
    top = result + OURS if above else OURS + result
    assert good(top, signature(), signature(b"example.net"), REST)


def test_the_host_is_compared_without_case_and_with_its_version() -> None:
    assert good(OURS, field(b" dkim=pass header.d=example.org", b"MX.Example.TEST 1 "), signature())


def test_a_field_of_ours_without_a_word_on_dkim_is_passed_over() -> None:
    """OpenDMARC writes its own on top of OpenDKIM's."""
    assert good(OURS, field(b" dmarc=pass header.from=example.org"), PASS, signature(), REST)


@pytest.mark.parametrize(
    ("author", "expected"),
    [
        ("example.org", True),
        ("mail.example.org", True),
        ("org", False),
        ("notexample.org", False),
        ("example.net", False),
    ],
)
def test_alignment(author: str, expected: bool) -> None:
    assert good(OURS, PASS, signature(), REST, author=author) is expected


FORGED = {
    "none": (OURS, signature()),
    "below the second Received": (OURS, THEIRS, PASS, signature()),
    "no Received at all": (PASS, signature()),
    "below our own result": (OURS, field(b" dkim=fail header.d=example.org"), PASS, signature()),
    "below ours that is not plain": (OURS, field(b" spf=pass; dkim=fail"), PASS, signature()),
    "below ours that is endless": (OURS, field(b" dkim=none" + b" x" * 9000), PASS, signature()),
    "in the body": (OURS, signature(), b"\r\n", PASS),
    "without any signature": (OURS, PASS),
    "with another's signature": (OURS, PASS, signature(b"example.net")),
    "another host": (OURS, field(b" dkim=pass header.d=example.org", b"mx2.example.test")),
    "host below": (OURS, field(b" dkim=pass header.d=example.org", b"x.mx.example.test")),
    "quoted host": (OURS, field(b" dkim=pass header.d=example.org", b'"mx.example.test"')),
    "host and comment": (OURS, field(b" dkim=pass header.d=example.org", b"mx.example.test(x)")),
    "comment and host": (OURS, field(b" dkim=pass header.d=example.org", b"(x)mx.example.test")),
    "other field": (OURS, PASS.replace(b"Auth", b"X-Auth"), signature()),
    "ARC's": (OURS, PASS.replace(b"Auth", b"ARC-Auth"), signature()),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_ones(case: str) -> None:
    parts = FORGED[case]
    more = () if case in ("without any signature", "with another's signature") else (signature(),)
    assert not good(*parts, *more, REST)


NOT_PLAIN = {
    "fail": b" dkim=fail header.d=example.org",
    "passed": b" dkim=passed header.d=example.org",
    "no domain": b" dkim=pass",
    "spf": b" spf=pass header.d=example.org",
    "spf before": b" spf=pass smtp.mailfrom=evil.example; dkim=pass header.d=example.org",
    "bracket in d=": b" dkim=pass header.d=example.org(.evil.example header.b=a",
    "brackets in d=": b" dkim=pass header.d=example.org(.evil.example) header.b=a",
    "blank and brackets in d=": b" dkim=pass header.d=example.org (.evil.example) header.b=a",
    "quote in d=": b' dkim=pass header.d=example.org".evil.example header.b=a',
    "apostrophe in d=": b" dkim=pass header.d=example.org'.evil.example",
    "NUL in d=": b" dkim=pass header.d=example.org\0.evil.example",
    "slash in d=": b" dkim=pass header.d=example.org/.evil.example",
    "two d=": b" dkim=pass header.d=evil.example header.d=example.org",
    "d= of a user": b" dkim=pass header.d=evil.example@example.org",
    "i= elsewhere": b" dkim=pass header.d=example.org header.i=@evil.example",
    "i= not below": b" dkim=pass header.d=example.org header.i=@notexample.org",
    "semicolon in i=": b" dkim=fail header.d=evil.example header.i=a; dkim=pass"
    b" header.d=example.org header.i=b@evil.example",
    "more than that in i=": b" dkim=fail header.d=evil.example header.i=a@evil.example;"
    b" dkim=pass header.d=example.org; spf=pass smtp.mailfrom=b@evil.example",
    "i= that begins with an at": b" dkim=fail header.d=evil.example header.i=@evil.example;"
    b" dkim=pass header.d=example.org header.b=b@evil.example",
    "endless": b" dkim=pass (" + b"x" * 9000 + b") header.d=example.org",
    "in a comment": b" dkim=fail (x; dkim=pass header.d=example.org; y) header.d=evil.example",
    "comment with a quote": b' dkim=pass (") header.d=example.org',
    "comment in a comment": b" dkim=pass ((x) header.d=example.org",
    "in a reason": b' dkim=fail reason="x; dkim=pass header.d=example.org" header.d=evil.example',
    "in a quoted sender": b' spf=fail smtp.mailfrom="x; dkim=pass header.d=example.org"@a.example',
    "8-bit": b" dkim=pass header.d=example.org\xff",
    "policy": b" dkim=pass policy.d=example.org",
    "words behind": b" dkim=pass header.d=example.org x@evil.example",
    "blanks around the equals sign": b" dkim = pass header.d = example.org",
    "one label": b" dkim=pass header.d=org",
}


@pytest.mark.parametrize("case", NOT_PLAIN)
def test_what_is_not_plain_says_nothing(case: str) -> None:
    both = signature() + signature(b"evil.example")
    assert not good(OURS, field(NOT_PLAIN[case]), both, REST)


@pytest.mark.parametrize(
    "odd",
    [
        signature(b"example.org(.evil.example"),
        signature(b"evil.example", b"; i=a=3B=20dkim=3Dpass@evil.example"),
        signature(b"evil.example", b'; i="x y"@evil.example'),
        signature(b"evil.example", b"; d=example.org"),
        b"DKIM-Signature: nonsense\r\n",
        signature(b"evil.example") * 30,
    ],
)
def test_one_odd_signature_spoils_all(odd: bytes) -> None:
    """What a sender writes there may be in the milter's words."""
    assert good(OURS, PASS, signature(), REST)
    assert not good(OURS, PASS, signature(), odd, REST)


PIECES = st.lists(
    st.sampled_from(
        [
            *(b"dkim=pass dkim=fail spf=pass header.d= header.i=@ evil.example reason= ".split()),
            *(bytes([octet]) for octet in b" ;()\"\\@=\t'\0\xff."),
        ]
    ),
    max_size=25,
)


@given(PIECES.map(b"".join))
def test_no_words_of_a_stranger_make_a_pass(octets: bytes) -> None:
    """All that an honest milter would write, but for the name of the domain."""
    assert not good(OURS, field(b" " + octets), signature(), REST)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_any_octets_are_read(octets: bytes, name: bytes) -> None:
    assert not passed(octets, name.decode("latin-1"), "example.org")
    assert not good(OURS, field(octets.replace(b"\n", b" ")), signature(), REST)


@contextmanager
def sink(port: int) -> Iterator[Path]:
    """Postfix's own program that takes mail and writes it down as it came, into this folder."""
    need("smtp-sink", "postfix")
    with tempfile.TemporaryDirectory(prefix="coop-sink-") as folder:
        Path(folder).chmod(0o777)  # the program gives up being root
        command = ["/usr/sbin/smtp-sink", "-u", "nobody", "-d", f"{folder}/m."]
        process = subprocess.Popen([*command, f"127.0.0.1:{port}", "10"])
        try:
            wait_until(lambda: listens(port), "smtp-sink up")
            yield Path(folder)
        finally:
            process.terminate()
            process.wait(timeout=30)


def as_the_filter_gets_it(folder: Path) -> bytes:
    """The mail, without what smtp-sink writes on top of it."""
    (dump,) = [text for path in folder.iterdir() if b"Subject: x" in (text := path.read_bytes())]
    return as_content(re.split(rb"\n\tby smtp-sink .*\n(?:\t.*\n)*", dump, maxsplit=1)[1])


@pytest.mark.postfix
@pytest.mark.parametrize("index", [0, 1])
def test_where_postfix_puts_the_field_of_a_milter(index: int) -> None:
    """Ours is believed, and the same words by the sender are not."""
    value = b"mx.example.test;\n\tdkim=pass header.d=example.org"
    forged = field(b" dkim=pass header.d=example.com")
    mail = THEIRS + forged + signature() + signature(b"example.com") + REST + b"\r\nHello\r\n"
    with (
        running_postfix("after-queue") as postfix,
        sink(postfix.filter_port) as folder,
        running_milter((b"Authentication-Results", value), index) as port,
    ):
        etc = postfix.run / "etc"
        with (etc / "main.cf").open("a") as main:
            main.write(f"smtpd_milters = inet:127.0.0.1:{port}\n")
        for command in ("stop", "start"):  # after a reload, old processes may take one mail more
            subprocess.run(["/usr/sbin/postfix", "-c", str(etc), command], check=True)
        wait_until(lambda: listens(postfix.port), "Postfix up again")
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
            client.sendmail("anna@example.org", ["owner@example.net"], mail)
        wait_until(lambda: "status=sent" in postfix.log, f"a mail\n{postfix.log}")
        head = as_the_filter_gets_it(folder)
    assert head.count(b"mx.example.test;") == 2, head
    assert passed(head, HOST, "example.org"), head
    assert not passed(head, HOST, "example.com"), head

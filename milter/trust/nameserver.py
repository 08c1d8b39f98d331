"""A name server as it stands in the settings; no DNS library is loaded to read that."""

from __future__ import annotations

import re
from ipaddress import ip_address

#: Where name servers listen (RFC 1035 section 4.2).
DNS_PORT = 53

_BRACKETS = re.compile(r"\[(?P<host>[^\[\]]*)\](?::(?P<port>[0-9]{1,5}))?")
_PLAIN = re.compile(r"(?P<host>[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?")


def parse_nameserver(text: str) -> tuple[str, int]:
    """Address and port of ``ADDRESS``, ``IPV4:PORT`` or ``[IPV6]:PORT``.

    A name will not do: somebody would have to be asked for its address. Raises ``ValueError`` with
    a sentence that says what is expected.
    """
    match = _BRACKETS.fullmatch(text) or _PLAIN.fullmatch(text)
    host, port = (match["host"], int(match["port"] or DNS_PORT)) if match else (text, DNS_PORT)
    try:
        address = ip_address(host)
    except ValueError as error:
        raise ValueError(_expected(text)) from error
    if not 0 < port < 65536 or (text.startswith("[") and address.version == 4):
        raise ValueError(_expected(text))
    return str(address), port


def _expected(text: str) -> str:
    return (
        f"{text!r} is not a name server: write its address, 127.0.0.1 or ::1, "
        "or with a port 127.0.0.1:53 or [::1]:53"
    )

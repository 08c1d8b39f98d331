"""TLS contexts from settings; they are made once, at start, so that a fault shows then."""

from __future__ import annotations

import ssl

from milter.config import Settings
from milter.errors import StartError
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import NextHopTls


def for_senders(settings: Settings) -> ssl.SSLContext | None:
    """The context for STARTTLS from senders; None where there is no certificate."""
    tls = settings.tls
    if not tls.certificate:
        if tls.required:
            raise StartError("[tls] required: needs a certificate under [tls] certificate")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key or None)
    except OSError as error:  # ssl.SSLError is one
        raise StartError(f"[tls] certificate {tls.certificate}: cannot be used: {error}") from error
    return context


def for_next_hop(settings: Settings) -> NextHopTls | None:
    """How to encrypt towards the next hop; None where that is off."""
    tls = settings.tls
    if tls.next_hop == "off" or not settings.filter.next_hop:
        return None
    name = tls.next_hop_name or Endpoint.parse_next_hop(settings.filter.next_hop).host
    if not name:
        raise StartError("[tls] next_hop_name: a Unix socket has no host name, so give one here")
    try:
        return NextHopTls(ssl.create_default_context(cafile=tls.next_hop_ca or None), name)
    except OSError as error:
        raise StartError(f"[tls] next_hop_ca {tls.next_hop_ca}: cannot be used: {error}") from error

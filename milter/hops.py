"""Ways onward: what judged, released and outgoing mail goes to."""

from __future__ import annotations

from milter import maildir, tls
from milter.config import Settings
from milter.smtp.endpoint import Endpoint
from milter.smtp.next_hop import LmtpNextHop, NextHop, NextHopTls, SmtpNextHop, Timeouts


class Ways:
    """Makes a session's way to the next hop; certificates are read once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tls: NextHopTls | None = tls.for_next_hop(settings)

    def onward(self) -> NextHop:
        """For judged and released mail: ``[filter] next_hop``, or the Maildir instead."""
        return self._to(self._settings.filter.next_hop)

    def outgoing(self) -> NextHop:
        """For mail that goes out: ``[trust] outgoing_next_hop``, or as for judged mail."""
        return self._to(self._settings.trust.outgoing_next_hop or self._settings.filter.next_hop)

    def _to(self, where: str) -> NextHop:
        if not where:
            return maildir.MaildirNextHop(self._settings.filter.maildir)
        endpoint = Endpoint.parse_next_hop(where)
        client = LmtpNextHop if endpoint.lmtp else SmtpNextHop
        limits = self._settings.limits
        timeouts = Timeouts(limits.connect, limits.reply, limits.final, limits.total)
        return client(endpoint, self._settings.hostname, timeouts, self._tls)


def next_hop_for(settings: Settings) -> NextHop:
    """One session's way to the next hop, for who needs just one."""
    return Ways(settings).onward()

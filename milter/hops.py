"""Ways onward: what judged, released and outgoing mail goes to."""

from __future__ import annotations

from milter import maildir, tls
from milter.config import Settings
from milter.smtp.endpoint import Endpoint
from milter.smtp.idle import MOST, Idle
from milter.smtp.next_hop import LmtpNextHop, NextHop, NextHopTls, SmtpNextHop, Timeouts


class Ways:
    """Makes a session's way to the next hop; settings and certificates are read once.

    With ``keep`` sessions hand their connections on to each other, until ``close``.
    """

    def __init__(self, settings: Settings, *, keep: bool = False) -> None:
        self._settings = settings
        self._hostname = settings.hostname  # asks the system
        self._tls: NextHopTls | None = tls.for_next_hop(settings)
        limits = settings.limits
        self._timeouts = Timeouts(limits.connect, limits.reply, limits.final, limits.total)
        self._onward = _endpoint(settings.filter.next_hop)
        self._outgoing = _endpoint(settings.trust.outgoing_next_hop) or self._onward
        ends = [end for end in (self._onward, self._outgoing) if end] if keep else []
        most = max(1, MOST // settings.filter.workers)
        self._idle = {end: Idle(most) for end in ends}

    def onward(self) -> NextHop:
        """For judged and released mail: ``[filter] next_hop``, or the Maildir instead."""
        return self._to(self._onward)

    def outgoing(self) -> NextHop:
        """For mail that goes out: ``[trust] outgoing_next_hop``, or as for judged mail."""
        return self._to(self._outgoing)

    def _to(self, endpoint: Endpoint | None) -> NextHop:
        if not endpoint:
            return maildir.MaildirNextHop(self._settings.filter.maildir)
        client = LmtpNextHop if endpoint.lmtp else SmtpNextHop
        idle = self._idle.get(endpoint)
        return client(endpoint, self._hostname, self._timeouts, self._tls, idle)

    def close(self) -> None:
        """Hang up what was kept."""
        for idle in self._idle.values():
            idle.close()


def _endpoint(where: str) -> Endpoint | None:
    return Endpoint.parse_next_hop(where) if where else None


def next_hop_for(settings: Settings) -> NextHop:
    """One session's way to the next hop, for who needs just one."""
    return Ways(settings).onward()

"""What some server or other takes for the end of data, though it is none.

The inbound and outbound sets of SMTP-Smuggling-Tools, what Postfix 3.7 took for one behind a filter
that relays octets as they are, NUL around the dot, and kin.
"""

from __future__ import annotations

SMUGGLED_ENDS = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\r\n.\n",
    b"\r\n.\0\r\n",
    b"\r\n\0.\0\r\n",
    b"\n\r.\n\r",
    b"\r\n\r.\r\n",
    b"\r\n.\r\0\n",
    b"\n.\r\r\n",
    b"\n\n.\r\r\n",
    b"\r\n.\n\r\n",
]

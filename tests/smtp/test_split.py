"""Any split of a session's octets gives the same result, at the sender and at the next hop."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from smtp import rig
from smtp.scripted_hop import ScriptedHop

# Several mails sent ahead, with what is hard to cut: dots, stray CR and LF, refusals, an RSET.
SESSION = (
    b"EHLO c\r\nMAIL FROM:<a@here.example> SIZE=100\r\nRCPT TO:<b@there.example>\r\nDATA\r\n"
    b"Subject: one\r\n\r\n..dot\r\n.\r\r\n\n.\nx\r\n.\rx\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<b@there.example>\r\nRSET\r\nNONSENSE\r\nRCPT TO:<x@y>\r\n"
    b"MAIL FROM:<c@here.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\n.\r\n"
    b"MAIL FROM:<d@here.example>\r\nRCPT TO:<b@there.example>\r\nDATA\r\nlast\r\n.\r\nQUIT\r\n"
)
_CUTS = st.sets(st.integers(1, len(SESSION) - 1), max_size=40)


async def _talk(pieces: list[bytes]) -> tuple[bytes, list[bytes], list[bytes]]:
    """What the sender heard, what the next hop was sent, and the mails it took."""
    hop = ScriptedHop()
    async with rig.running(hop, before_queue=False) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # let the filter read this piece by itself
        said = await asyncio.wait_for(reader.read(), rig.PATIENCE)
        writer.close()
    return said, [bytes(octets) for octets in hop.connections], hop.mails


WHOLE = asyncio.run(_talk([SESSION]))


def test_the_session_is_what_it_should_be() -> None:
    said, _, mails = WHOLE
    assert len(mails) == 3
    assert said.count(b"250 2.0.0 Ok: queued") == 3
    assert said.endswith(b"221 2.0.0 Bye\r\n")


@settings(deadline=None, max_examples=60, derandomize=True)
@given(_CUTS)
def test_any_split(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(SESSION)]
    pieces = [SESSION[a:b] for a, b in pairwise(places)]
    assert asyncio.run(_talk(pieces)) == WHOLE


def test_one_octet_at_a_time() -> None:
    assert asyncio.run(_talk([bytes([octet]) for octet in SESSION])) == WHOLE

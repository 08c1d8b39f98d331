"""Our client towards the next hop: what it says, how long it waits, what it makes of faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from smtp import rig
from smtp.scripted_hop import DROP, SILENT, ScriptedHop

from milter.errors import NextHopError, NextHopUnsure
from milter.smtp.command import Address
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop, SmtpNextHop, Timeouts
from milter.smtp.reply import Reply

SENDER = Address(b"<a@here.example>", b"")
RECIPIENT = Address(b"<b@there.example>", b"")
CONTENT = b"Subject: x\r\n\r\n.\r\ntext\r\n"
SHORT = 0.05  # seconds; the scripted server is in the same loop and answers in under 1 ms
# More than the kernel holds for a loopback connection, both sides' buffers at their largest.
FAR_TOO_MUCH = b"x" * 998 + b"\r\n"
FAR_TOO_MUCH *= 32_000

Use = Callable[[SmtpNextHop], Awaitable[object]]


def impatient(stage: str) -> Timeouts:
    """Only the timeout for ``stage`` is short: a busy machine must not trip the others."""
    name = {"greeting": "connect", "EHLO": "connect", "dot": "final"}.get(stage, "reply")
    return replace(rig.PATIENT, **{name: SHORT})


def talk(hop: ScriptedHop, use: Use, timeouts: Timeouts = rig.PATIENT) -> None:
    """Let ``use`` talk to ``hop``; then the client is closed and the server at its end."""

    async def main() -> None:
        await hop.start()
        client = rig.next_hop_at(hop.port, timeouts)
        try:
            await use(client)
        finally:
            await client.close()
            await hop.stop()
            await asyncio.sleep(0)

    asyncio.run(main())


async def to_mail(client: SmtpNextHop) -> Reply:
    await client.open()
    return await client.mail(SENDER, {})


async def to_rcpt(client: SmtpNextHop) -> Reply:
    await to_mail(client)
    return await client.rcpt(RECIPIENT)


async def whole_mail(client: SmtpNextHop) -> Reply:
    await to_rcpt(client)
    return await client.deliver([CONTENT])


def received(hop: ScriptedHop) -> list[list[bytes]]:
    """The lines that each connection brought."""
    return [bytes(octets).split(b"\r\n")[:-1] for octets in hop.connections]


class TestSession:
    def test_opens_once(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            await client.open()
            await client.open()

        hop = ScriptedHop()
        talk(hop, use)
        assert received(hop) == [[b"EHLO filter.example", b"QUIT"]]

    def test_capabilities(self) -> None:
        hop = ScriptedHop({"EHLO": b"250-next.example greets\r\n250-size 5\r\n250 Dsn\r\n"})

        async def use(client: SmtpNextHop) -> None:
            await client.open()
            assert client.capabilities == {b"SIZE": b"5", b"DSN": b""}

        talk(hop, use)

    def test_no_capabilities_without_ehlo(self) -> None:
        hop = ScriptedHop({"EHLO": b"502 What?\r\n"})

        async def use(client: SmtpNextHop) -> None:
            await client.open()
            assert client.capabilities == {}

        talk(hop, use)
        assert received(hop) == [[b"EHLO filter.example", b"HELO filter.example", b"QUIT"]]

    def test_whole_mail(self) -> None:
        hop = ScriptedHop()

        async def use(client: SmtpNextHop) -> None:
            assert await whole_mail(client) == Reply(250, hop.answers["dot"])

        talk(hop, use)
        assert hop.mails == [b"Subject: x\r\n\r\n..\r\ntext\r\n"]

    def test_replies_in_pieces(self) -> None:
        """A reply that comes octet by octet is one reply."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in (b"220 x\r\n", b"250-x\r\n250-SIZE 5\r\n250 DSN\r\n"):
                for octet in answer:
                    writer.write(bytes([octet]))
                    await asyncio.sleep(0)
                await reader.readline()
            writer.close()

        async def main() -> None:
            async with listening(serve) as port:
                client = rig.next_hop_at(port)
                await client.open()
                assert client.capabilities == {b"SIZE": b"5", b"DSN": b""}
                await client.close()

        asyncio.run(main())

    def test_stray_content_never_ends(self) -> None:
        """Our own bug must not become a mail: the connection is dropped without a dot."""

        async def use(client: SmtpNextHop) -> None:
            await to_rcpt(client)
            with pytest.raises(AssertionError):
                await client.deliver([b"text\r\n.\r\r\nMAIL FROM:<evil@here.example>\r\n"])

        hop = ScriptedHop()
        talk(hop, use)
        assert hop.mails == []
        assert b"evil" not in b"".join(received(hop)[0])


class TestQuit:
    """QUIT is said between mails only; a connection with a fault is dropped without a word."""

    @pytest.mark.parametrize("use", [SmtpNextHop.open, to_mail, to_rcpt, whole_mail])
    def test_between_mails(self, use: Use) -> None:
        hop = ScriptedHop()
        talk(hop, use)
        assert received(hop)[0][-1] == b"QUIT"

    @pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "dot"])
    def test_not_behind_a_silence(self, stage: str) -> None:
        """Whoever is late may still be reading: QUIT could end up in the mail."""

        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await whole_mail(client)

        hop = ScriptedHop({stage: SILENT})
        talk(hop, use, impatient(stage))
        assert b"QUIT" not in received(hop)[0]

    @pytest.mark.parametrize("use", [to_mail, to_rcpt])
    def test_gives_the_mail_up(self, use: Use) -> None:
        hop = ScriptedHop()
        talk(hop, use)
        assert hop.mails == []

    def test_unopened(self) -> None:
        hop = ScriptedHop()
        talk(hop, SmtpNextHop.close)
        assert hop.connections == []


class TestTimeouts:
    @pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
    def test_before_the_dot(self, stage: str) -> None:
        """Nothing was handed over: the mail is the sender's, surely."""

        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError) as caught:
                await whole_mail(client)
            assert not isinstance(caught.value, NextHopUnsure)
            assert "no answer in time" in str(caught.value)

        talk(ScriptedHop({stage: SILENT}), use, impatient(stage))

    def test_behind_the_dot(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopUnsure, match="no answer in time"):
                await whole_mail(client)

        talk(ScriptedHop({"dot": SILENT}), use, impatient("dot"))

    def test_rset(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            await to_rcpt(client)
            with pytest.raises(NextHopError):
                await client.reset()

        talk(ScriptedHop({"RSET": SILENT}), use, impatient("RSET"))

    @pytest.mark.parametrize(("stage", "unsure"), [("DATA", False), ("dot", True)])
    def test_all_in_all(self, stage: str, unsure: bool) -> None:
        """Whether the next hop may have the mail hangs on the dot, not on which timeout it was."""

        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError) as caught:
                await whole_mail(client)
            assert isinstance(caught.value, NextHopUnsure) is unsure

        talk(ScriptedHop({stage: SILENT}), use, replace(rig.PATIENT, total=4 * SHORT))

    def test_each_has_its_own(self) -> None:
        """A slow final dot is waited for longer than a slow command."""

        async def main() -> None:
            hop = ScriptedHop()
            hop.gates["dot"] = asyncio.Event()
            await hop.start()
            client = rig.next_hop_at(hop.port, replace(rig.PATIENT, reply=4 * SHORT))
            await to_rcpt(client)
            delivery = asyncio.create_task(client.deliver([CONTENT]))
            await asyncio.sleep(6 * SHORT)
            hop.gates["dot"].set()
            assert (await delivery).positive
            await client.close()
            await hop.stop()

        asyncio.run(main())


class TestFaults:
    @pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA"])
    def test_drop_before_the_dot(self, stage: str) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError) as caught:
                await whole_mail(client)
            assert not isinstance(caught.value, NextHopUnsure)

        talk(ScriptedHop({stage: DROP}), use)

    def test_drop_behind_the_dot(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopUnsure):
                await whole_mail(client)

        talk(ScriptedHop({"dot": DROP}), use)

    def test_nonsense_behind_the_dot(self) -> None:
        """It may have the mail, whatever it says."""

        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopUnsure):
                await whole_mail(client)

        talk(ScriptedHop({"dot": b"Thanks!\r\n"}), use)

    @pytest.mark.parametrize("answer", [b"250 Ok\r\n", b"220 Ok\r\n", b"334 Ok\r\n"])
    def test_data_needs_354(self, answer: bytes) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await whole_mail(client)

        hop = ScriptedHop({"DATA": answer})
        talk(hop, use)
        assert b"text" not in received(hop)[0]

    @pytest.mark.parametrize(
        "answer", [b"450 4.7.1 Later\r\n", b"550-5.7.1 No\r\n550 5.7.1 No\r\n"]
    )
    def test_data_refused(self, answer: bytes) -> None:
        async def use(client: SmtpNextHop) -> None:
            assert (await whole_mail(client)).octets == answer

        hop = ScriptedHop({"DATA": answer})
        talk(hop, use)
        assert b"text" not in received(hop)[0]

    def test_dot_needs_an_answer(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await whole_mail(client)

        talk(ScriptedHop({"dot": b"354 More\r\n"}), use)

    def test_reply_that_nobody_asked_for(self) -> None:
        """It puts replies and commands out of step; DATA's 354 shows that, and no mail goes out."""

        async def use(client: SmtpNextHop) -> None:
            await to_mail(client)
            await client.rcpt(RECIPIENT)
            await asyncio.sleep(SHORT)  # the second reply is here by now
            with pytest.raises(NextHopError):
                await client.deliver([CONTENT])

        hop = LateReplyHop()
        talk(hop, use)
        assert hop.mails == []

    def test_new_connection_after_a_fault(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await whole_mail(client)
            assert (await whole_mail(client)).positive

        hop = ScriptedHop({"RCPT 1": DROP})
        talk(hop, use)
        assert len(hop.connections) == 2
        assert len(hop.mails) == 1

    def test_421_ends_the_connection(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            assert (await to_mail(client)).code == 421
            with pytest.raises(NextHopError):
                await client.rcpt(RECIPIENT)
            assert (await whole_mail(client)).positive

        hop = ScriptedHop({"MAIL 1": b"421 4.3.2 Bye\r\n"})
        talk(hop, use)
        assert len(hop.connections) == 2

    def test_commands_before_open(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await client.rcpt(RECIPIENT)
            with pytest.raises(NextHopError):
                await client.deliver([CONTENT])

        talk(ScriptedHop(), use)

    def test_nobody_there(self) -> None:
        hop = ScriptedHop({"connect": b"refuse"})

        async def use(client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError, match=f"127.0.0.1:{hop.port}: Connect"):
                await client.open()

        talk(hop, use)


class LateReplyHop(ScriptedHop):
    """Answers RCPT, and a moment later once more."""

    async def _answer(
        self, stage: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        stays = await super()._answer(stage, reader, writer)
        if stage == "RCPT":
            await asyncio.sleep(SHORT / 5)
            writer.write(b"250 2.1.5 Ok\r\n")
        return stays


class TestReset:
    def test_within_a_mail(self) -> None:
        async def use(client: SmtpNextHop) -> None:
            await to_rcpt(client)
            await client.reset()
            await client.reset()

        hop = ScriptedHop()
        talk(hop, use)
        assert received(hop)[0].count(b"RSET") == 1

    @pytest.mark.parametrize("use", [SmtpNextHop.open, whole_mail])
    def test_not_between_mails(self, use: Use) -> None:
        async def reset(client: SmtpNextHop) -> None:
            await use(client)
            await client.reset()

        hop = ScriptedHop()
        talk(hop, reset)
        assert b"RSET" not in received(hop)[0]


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A server of a test's own; its small buffer makes a deaf one fill up the connection."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0)


class DeafHop:
    """Says 354 and reads no more until it is let; then reads all that still comes."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.ended = asyncio.Event()
        self.tail = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        for answer in (b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"):
            await reader.readline()
            writer.write(answer)
        await self.reads.wait()
        try:
            while octets := await reader.read(1 << 20):
                self.tail = (self.tail + octets)[-100:]
        except ConnectionError:
            pass  # hung up without a word, as it should be
        writer.close()
        self.ended.set()


class TestDeafNextHop:
    """A next hop that stops reading: most of the content, and the dot, wait in our own buffer."""

    def test_no_answer_in_time(self) -> None:
        async def use(hop: DeafHop, client: SmtpNextHop) -> None:
            with pytest.raises(NextHopError):
                await client.deliver([FAR_TOO_MUCH])

        assert b"\r\n.\r\n" not in asyncio.run(
            self._tail(use, replace(rig.PATIENT, final=4 * SHORT))
        )

    def test_cancelled(self) -> None:
        """The filter stops, and tells the sender 421: the dot must not go out behind that.

        Else the next hop takes the mail, and the sender sends it again.
        """

        async def use(hop: DeafHop, client: SmtpNextHop) -> None:
            delivery = asyncio.create_task(client.deliver([FAR_TOO_MUCH]))
            await asyncio.sleep(0.1)
            delivery.cancel()
            await asyncio.wait([delivery])

        assert b"\r\n.\r\n" not in asyncio.run(self._tail(use, rig.PATIENT))

    async def _tail(
        self, use: Callable[[DeafHop, SmtpNextHop], Awaitable[None]], timeouts: Timeouts
    ) -> bytes:
        """The last octets that reach the next hop once it reads again."""
        hop = DeafHop()
        async with listening(hop.serve) as port:
            client = rig.next_hop_at(port, timeouts)
            await to_rcpt(client)
            await use(hop, client)
            await client.close()
            hop.reads.set()
            await asyncio.wait_for(hop.ended.wait(), rig.PATIENCE)
        return hop.tail


class TestSenderLeaves:
    """A sender that hangs up right behind its final dot: the delivery runs to its end."""

    @pytest.mark.parametrize("rudely", [False, True], ids=["FIN", "RST"])
    def test_delivery_is_not_cancelled(self, rudely: bool) -> None:
        replies: list[Reply] = []

        async def route(mail: Transaction, next_hop: NextHop) -> Reply:
            replies.append(await next_hop.deliver(mail.content.pieces()))
            return replies[-1]

        async def main() -> ScriptedHop:
            hop = ScriptedHop()
            hop.gates["dot"] = asyncio.Event()
            async with rig.running(hop, route=route) as running:
                _, writer = await rig.client_at_data(running.port)
                writer.write(b"text\r\n.\r\n")
                await asyncio.wait_for(hop.reached["dot"].wait(), rig.PATIENCE)
                hang_up(writer, rudely)
                await asyncio.sleep(SHORT)  # the filter has noticed by now
                hop.gates["dot"].set()
            return hop

        hop = asyncio.run(main())
        assert hop.mails == [b"text\r\n"]
        assert [reply.code for reply in replies] == [250]
        assert received(hop)[0][-1] == b"QUIT"


def hang_up(writer: asyncio.StreamWriter, rudely: bool) -> None:
    if rudely:  # no time to linger: the kernel sends RST
        own: socket.socket = writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


@pytest.mark.parametrize("last_words", [b"", b"421 4.4.2 timeout exceeded\r\n"])
def test_a_next_hop_that_times_out_between_mails(last_words: bytes) -> None:
    """It has lost nothing: the next mail gets a new connection, not a temporary failure."""

    class Impatient(ScriptedHop):
        async def _take_mail(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray
        ) -> bool:
            await super()._take_mail(reader, writer, record)
            await asyncio.sleep(SHORT)
            writer.write(last_words)
            return False

    async def use(client: SmtpNextHop) -> None:
        assert (await whole_mail(client)).positive
        await asyncio.sleep(4 * SHORT)
        assert (await whole_mail(client)).positive

    hop = Impatient()
    talk(hop, use)
    assert hop.mails == [b"Subject: x\r\n\r\n..\r\ntext\r\n"] * 2
    assert len(hop.connections) == 2

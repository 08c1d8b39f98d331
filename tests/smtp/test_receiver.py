"""What a talk in a file cannot tell of a session: faults of ours, the filter's end, the kernel."""

from __future__ import annotations

import asyncio
import errno

import pytest
from smtp import rig
from smtp.scripted_hop import ScriptedHop

from milter.smtp import receiver
from milter.smtp.content import Content
from milter.smtp.data import DataDecoder
from milter.smtp.envelope import Transaction
from milter.smtp.next_hop import NextHop
from milter.smtp.reply import Reply

NO_SMTPUTF8 = {"EHLO": b"250 next.example\r\n"}


class TestOwnFault:
    def test_sender_keeps_the_mail_and_learns_nothing(self) -> None:
        async def route(mail: Transaction, next_hop: NextHop) -> Reply:
            raise RuntimeError("secret")

        async def main() -> bytes:
            async with rig.running(hop, route=route) as running:
                reader, writer = await rig.client_at_data(running.port)
                writer.write(b"text\r\n.\r\n")
                said = await reader.read()  # up to the end of the session
                writer.close()
                return said

        hop = ScriptedHop()
        said = asyncio.run(main())
        assert said.startswith(b"451 4.3.0")
        assert b"secret" not in said
        assert hop.mails == []


class TestFullDisk:
    def test_mail_is_put_off(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only once its end of data has come: what is sent behind it must be read as a command."""

        def write(self: Content, octets: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        async def main() -> tuple[bytes, bytes]:
            async with rig.running(hop, before_queue=False) as running:
                reader, writer = await rig.client_at_data(running.port)
                writer.write(b"text\r\nRSET\r\n.\r\nNOOP\r\n")
                replies = await rig.reply_from(reader), await rig.reply_from(reader)
                writer.close()
                return replies

        monkeypatch.setattr(Content, "write", write)
        hop = ScriptedHop()
        refused, noop = asyncio.run(main())
        assert refused.startswith(b"452 4.3.1")
        assert noop.startswith(b"250")
        assert hop.mails == []


class TestKernel:
    @pytest.mark.parametrize("behind", [b"MAIL FROM:<evil@here.example>\r\n", b"\r\n", b"Q"])
    def test_octets_that_only_the_kernel_has_yet(
        self, behind: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Octets behind the end of data, in a segment of their own that nobody has read yet.

        They are sent at the very moment when the end of data is found, so they lie in the kernel
        when the filter looks for octets behind it.
        """
        hop = ScriptedHop()
        writers: list[asyncio.StreamWriter] = []

        class Decoder(DataDecoder):
            def feed(self, data: bytes) -> bytes:
                made = super().feed(data)
                if self.done:
                    writers[0].write(behind)  # goes straight to the kernel
                return made

        async def main() -> bytes:
            async with rig.running(hop, before_queue=True) as running:
                reader, writer = await rig.client_at_data(running.port)
                writers.append(writer)
                writer.write(b"text\r\n.\r\n")
                reply = await rig.reply_from(reader)
                writer.close()
                return reply

        monkeypatch.setattr(receiver, "DataDecoder", Decoder)
        assert asyncio.run(main()).startswith(b"421 4.7.0")
        assert hop.mails == []


class TestLeave:
    """The filter stops: sessions without a mail end at once, others when their mail is through."""

    async def _last_words(self, *commands: bytes, answers: dict[str, bytes] | None = None) -> bytes:
        """What a session still says that is told to leave behind ``commands``."""
        # One that does not leave is told 421 4.4.2 instead, when it has been silent for too long.
        async with rig.running(ScriptedHop(answers), before_queue=False, idle=1.0) as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            await rig.reply_from(reader)
            for command in commands:
                writer.write(command + b"\r\n")
                await rig.reply_from(reader)
            await asyncio.sleep(0)
            running.sessions[0].leave()
            said = await asyncio.wait_for(reader.read(), rig.PATIENCE)
            writer.close()
            return said

    @pytest.mark.parametrize(
        "commands", [(), (b"EHLO x",), (b"EHLO x", b"MAIL FROM:<a@b>", b"RSET")]
    )
    def test_without_a_mail(self, commands: tuple[bytes, ...]) -> None:
        assert asyncio.run(self._last_words(*commands)).startswith(b"421 4.3.2")

    def test_refused_sender_is_no_mail(self) -> None:
        said = asyncio.run(
            self._last_words(b"EHLO x", b"MAIL FROM:<a@b> SMTPUTF8", answers=NO_SMTPUTF8)
        )
        assert said.startswith(b"421 4.3.2")

    def test_mail_under_way_is_finished(self) -> None:
        async def main() -> bytes:
            async with rig.running(hop, before_queue=False) as running:
                reader, writer = await rig.client_at_data(running.port)
                running.sessions[0].leave()
                writer.write(b"text\r\n.\r\n")
                said = await asyncio.wait_for(reader.read(), rig.PATIENCE)
                writer.close()
                return said

        hop = ScriptedHop()
        assert asyncio.run(main()).startswith(b"250")
        assert hop.mails == [b"text\r\n"]

    def test_recipients_under_way_are_finished(self) -> None:
        """Between MAIL and DATA too: no more than the one command that comes next is answered."""

        async def main() -> bytes:
            async with rig.running(ScriptedHop(), before_queue=False) as running:
                reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
                await rig.reply_from(reader)
                for command in (b"EHLO x", b"MAIL FROM:<a@b>"):
                    writer.write(command + b"\r\n")
                    await rig.reply_from(reader)
                running.sessions[0].leave()
                writer.write(b"RCPT TO:<b@c>\r\n")
                said = await rig.reply_from(reader)
                writer.close()
                return said

        assert asyncio.run(main()).startswith(b"250")


class TestCutOff:
    def test_mail_is_not_delivered_behind_421(self) -> None:
        """A session that is cut off while the next hop thinks about DATA delivers nothing."""

        async def main() -> bytes:
            hop.gates["DATA"] = asyncio.Event()
            async with rig.running(hop) as running:
                reader, writer = await rig.client_at_data(running.port)
                writer.write(b"text\r\n.\r\n")
                await asyncio.wait_for(hop.reached["DATA"].wait(), rig.PATIENCE)
                task = running.sessions[0].task
                assert task
                task.cancel()
                said = await asyncio.wait_for(reader.read(), rig.PATIENCE)
                hop.gates["DATA"].set()
                writer.close()
                return said

        hop = ScriptedHop()
        assert asyncio.run(main()).startswith(b"421 4.3.2")
        assert hop.mails == []

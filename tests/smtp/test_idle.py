"""Connections to the next hop that sessions hand on to each other: when, and when never."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from smtp import rig
from smtp.scripted_hop import DROP, ScriptedHop

from milter.errors import NextHopError
from milter.smtp import idle
from milter.smtp.command import Address
from milter.smtp.endpoint import Endpoint
from milter.smtp.idle import Idle
from milter.smtp.next_hop import SmtpNextHop
from milter.smtp.reply import Reply

SENDER = Address(b"<a@here.example>", b"")
RECIPIENT = Address(b"<b@there.example>", b"")
CONTENT = b"Subject: x\r\n\r\ntext\r\n"
MAIL = [b"MAIL FROM:<a@here.example>", b"RCPT TO:<b@there.example>", b"DATA"]

Session = Callable[[SmtpNextHop], Awaitable[object]]


async def whole_mail(client: SmtpNextHop) -> Reply:
    await client.open()
    await client.mail(SENDER, {})
    await client.rcpt(RECIPIENT)
    return await client.deliver([CONTENT])


async def looks_only(client: SmtpNextHop) -> None:
    await client.open()


async def names_a_recipient(client: SmtpNextHop) -> None:
    await client.open()
    await client.mail(SENDER, {})
    await client.rcpt(RECIPIENT)


async def all_commands(client: SmtpNextHop) -> None:
    await client.open()
    await client.mail(SENDER, {b"ADDR": b"192.0.2.1"})
    await client.rcpt(RECIPIENT)
    await client.reset()


def sessions(
    hop: ScriptedHop, *uses: Session, pause: float = 0, most: int = idle.MOST
) -> list[int]:
    """Let one session after the other talk to ``hop``; how many connections it had after each."""
    connections = []

    async def main() -> None:
        await hop.start()
        unused = Idle(most)
        endpoint = Endpoint("127.0.0.1", hop.port)
        try:
            for use in uses:
                client = SmtpNextHop(endpoint, "filter.example", rig.PATIENT, idle=unused)
                await use(client)
                await client.close()
                connections.append(len(hop.connections))
                await asyncio.sleep(pause)
        finally:
            unused.close()
            await hop.stop()
            await asyncio.sleep(0)

    asyncio.run(main())
    return connections


def commands(hop: ScriptedHop) -> list[list[bytes]]:
    """The commands that each connection brought."""
    content = [*CONTENT.split(b"\r\n")[:-1], b"."]
    return [
        [line for line in bytes(octets).split(b"\r\n")[:-1] if line not in content]
        for octets in hop.connections
    ]


class TestHandedOn:
    def test_second_session_has_connection_of_first(self) -> None:
        hop = ScriptedHop()
        assert sessions(hop, whole_mail, whole_mail) == [1, 1]
        assert commands(hop) == [[b"EHLO filter.example", *MAIL, *MAIL, b"QUIT"]]
        assert len(hop.mails) == 2

    def test_one_that_carried_no_mail(self) -> None:
        hop = ScriptedHop()
        assert sessions(hop, looks_only, whole_mail) == [1, 1]

    def test_knows_what_server_can_do(self) -> None:
        async def knows(client: SmtpNextHop) -> None:
            await client.open()
            assert b"DSN" in client.capabilities

        assert sessions(ScriptedHop(), whole_mail, knows) == [1, 1]

    def test_two_at_a_time_have_two(self) -> None:
        async def with_another(client: SmtpNextHop) -> None:
            await client.open()
            assert client._idle
            endpoint = Endpoint("127.0.0.1", hop.port)
            other = SmtpNextHop(endpoint, "filter.example", rig.PATIENT, idle=client._idle)
            await whole_mail(other)
            await other.close()
            await whole_mail(client)

        hop = ScriptedHop()
        assert sessions(hop, with_another, whole_mail) == [2, 2]
        assert len(hop.mails) == 3


class TestNotHandedOn:
    @pytest.mark.parametrize(
        ("stage", "answer"),
        [
            ("MAIL", b"550 5.1.0 no\r\n"),
            ("RCPT", b"451 4.3.0 later\r\n"),
            ("dot", b"550 5.7.1 no\r\n"),
            ("DATA", b"554 5.5.1 no\r\n"),
            ("DATA", b"250 2.0.0 out of step\r\n"),
            ("MAIL", b"354 out of step\r\n"),
            ("dot", b"354 out of step\r\n"),
            ("dot", b"250 2.0.0 Ok\r\n250 2.0.0 and one more\r\n"),
        ],
    )
    def test_after_another_reply_than_hoped_for(self, stage: str, answer: bytes) -> None:
        async def tries(client: SmtpNextHop) -> None:
            try:
                await client.open()
                mail = await client.mail(SENDER, {})
                rcpt = await client.rcpt(RECIPIENT)
                if mail.positive and rcpt.positive:
                    await client.deliver([CONTENT])
            except NextHopError:
                pass  # out of step: hung up
            await asyncio.sleep(0.05)  # what comes behind a reply comes a moment later

        hop = ScriptedHop({f"{stage} 1": answer})
        assert sessions(hop, tries, whole_mail) == [1, 2]
        assert len(hop.mails) == 1 + (stage == "dot")

    def test_with_a_mail_under_way(self) -> None:
        """Its envelope is the sender's whom we lost: nobody else's mail may come behind it."""
        hop = ScriptedHop()
        assert sessions(hop, names_a_recipient, whole_mail) == [1, 2]
        assert commands(hop)[0] == [b"EHLO filter.example", *MAIL[:2], b"QUIT"]

    @pytest.mark.parametrize("command", ["XFORWARD", "MAIL", "RCPT", "RSET"])
    def test_given_up_before_the_reply(self, command: str) -> None:
        """The reply would be taken for that to somebody else's command."""

        async def gives_up(client: SmtpNextHop) -> None:
            hop.gates[command] = asyncio.Event()
            task = asyncio.create_task(all_commands(client))
            await asyncio.wait_for(hop.reached[command].wait(), rig.PATIENCE)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            asyncio.get_running_loop().call_soon(hop.gates.pop(command).set)

        hop = ScriptedHop()
        assert sessions(hop, gives_up, whole_mail) == [1, 2]
        assert len(hop.mails) == 1

    def test_ending_at_the_dot(self) -> None:
        async def told_so(client: SmtpNextHop) -> None:
            assert (await whole_mail(client)).code == 421

        assert sessions(ScriptedHop({"dot 1": b"421 4.3.2 closing\r\n"}), told_so, whole_mail) == [
            1,
            2,
        ]

    @pytest.mark.parametrize(("patience", "kept"), [(0.0, False), (rig.PATIENCE, True)])
    def test_while_somebody_waits_long_for_a_new_one(
        self, monkeypatch: pytest.MonkeyPatch, patience: float, kept: bool
    ) -> None:
        """A server that serves one at a time greets the next when the first is gone."""
        monkeypatch.setattr(idle, "_GREETED", patience)

        async def in_the_way(client: SmtpNextHop) -> None:
            await client.open()
            assert client._idle
            endpoint = Endpoint("127.0.0.1", hop.port)
            other = SmtpNextHop(endpoint, "filter.example", rig.PATIENT, idle=client._idle)
            hop.gates["greeting"] = asyncio.Event()
            hop.reached["greeting"].clear()
            waiting = asyncio.create_task(other.open())
            await asyncio.wait_for(hop.reached["greeting"].wait(), rig.PATIENCE)
            await asyncio.sleep(0.01)
            await client.close()
            assert bool(client._idle._links) == kept
            hop.gates.pop("greeting").set()
            await waiting
            await other.close()

        hop = ScriptedHop()
        assert sessions(hop, in_the_way) == [2]

    def test_server_has_hung_up(self) -> None:
        async def mail_and_end(client: SmtpNextHop) -> None:
            await whole_mail(client)
            hop.hang_up()

        hop = ScriptedHop()
        assert sessions(hop, mail_and_end, whole_mail, pause=0.05) == [1, 2]

    def test_more_mails_than_one_may_carry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(idle, "_MAILS", 2)
        assert sessions(ScriptedHop(), *[whole_mail] * 5) == [1, 1, 2, 2, 3]

    def test_longer_than_one_may_be_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(idle, "_USED", 0.0)
        assert sessions(ScriptedHop(), whole_mail, whole_mail) == [1, 2]

    def test_more_than_are_kept(self) -> None:
        hop = ScriptedHop()
        assert sessions(hop, whole_mail, whole_mail, most=0) == [1, 2]
        assert all(lines[-1] == b"QUIT" for lines in commands(hop))

    def test_unused_for_longer_than_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(idle, "_KEPT", 0.02)
        hop = ScriptedHop()

        async def sees_it_gone(client: SmtpNextHop) -> None:
            await asyncio.wait_for(hop.reached["QUIT"].wait(), rig.PATIENCE)
            await whole_mail(client)

        assert sessions(hop, whole_mail, sees_it_gone) == [1, 2]


class TestEndsInTheMoment:
    """The server gives up a kept connection just when the next mail begins."""

    @pytest.mark.parametrize("answer", [DROP, b"421 4.4.2 timeout\r\n"])
    def test_mail_goes_by_a_new_one(self, answer: bytes) -> None:
        hop = ScriptedHop({"MAIL 2": answer})
        assert sessions(hop, whole_mail, whole_mail) == [1, 2]
        assert len(hop.mails) == 2

    def test_new_one_can_do_less(self) -> None:
        """The sender was told otherwise, and what it has said may now be refused for good."""

        async def fails(client: SmtpNextHop) -> None:
            await client.open()
            with pytest.raises(NextHopError, match="less than a moment ago"):
                await client.mail(SENDER, {})

        hop = ScriptedHop({"MAIL 2": DROP, "EHLO 2": b"250 next.example\r\n"})
        assert sessions(hop, whole_mail, fails) == [1, 2]

    def test_says_something_unasked(self) -> None:
        """It would be taken for the reply to MAIL."""

        async def after_a_while(client: SmtpNextHop) -> None:
            await client.open()
            hop.say(b"250 2.0.0 and another thing\r\n")
            await asyncio.sleep(0.05)
            await client.mail(SENDER, {})

        hop = ScriptedHop()
        assert sessions(hop, whole_mail, after_a_while) == [1, 2]

    def test_told_of_the_client_again(self) -> None:
        async def of_a_client(client: SmtpNextHop) -> None:
            await client.open()
            assert (await client.mail(SENDER, {b"ADDR": b"192.0.2.1"})).positive

        hop = ScriptedHop({"XFORWARD": DROP, "XFORWARD 2": b"250 2.0.0 Ok\r\n"})
        sessions(hop, looks_only, of_a_client)
        assert commands(hop)[1][1:3] == [b"XFORWARD ADDR=192.0.2.1", MAIL[0]]

    def test_new_one_fails_too(self) -> None:
        """Then the sender is told so, as for any next hop that is down."""

        async def fails(client: SmtpNextHop) -> None:
            await client.open()
            with pytest.raises(NextHopError):
                await client.mail(SENDER, {})

        hop = ScriptedHop({"MAIL 2": DROP, "MAIL 3": DROP})
        assert sessions(hop, whole_mail, fails) == [1, 2]

    def test_first_mail_is_not_tried_twice(self) -> None:
        async def fails(client: SmtpNextHop) -> None:
            await client.open()
            with pytest.raises(NextHopError):
                await client.mail(SENDER, {})

        assert sessions(ScriptedHop({"MAIL 1": DROP}), fails) == [1]

"""``tace chat``: two people in two terminals, or at the ends of two pipes."""

from __future__ import annotations

from tests.cli.one_node import OneNode
from tests.processes import Program


class Chatting(OneNode):
    """Both sides are processes; their standard input is a pipe."""

    def chat(self, home: str, contact: str) -> Program:
        return self.command("chat", "--node", self.url, contact, home=home)

    def type(self, program: Program, text: str) -> None:
        assert program.transport is not None
        program.transport.write(text.encode())

    async def test_two_people(self) -> None:
        """Lines go both ways, with ticks; the end of the input ends a chat."""
        await self.received("alice")
        await self.received("bob")
        alice, bob = self.chat("alice", self.links["bob"]), self.chat("bob", self.links["alice"])
        self.type(alice, "hello bob\n")
        await bob.says("Alice: hello bob\n")
        await alice.says("✓✓ hello bob")
        self.type(bob, "hello alice\n")
        await alice.says("Bob: hello alice\n")
        await bob.says("✓✓ hello alice")
        self.type(alice, "no newline at the end")
        for program in (alice, bob):
            assert program.transport is not None
            program.transport.closeStdin()
            ended = await program.ended
            self.assertEqual((ended.status, ended.errors), (0, ""))
            if program is alice:
                await bob.says("Alice: no newline at the end\n")

    async def test_interrupted(self) -> None:
        """Ctrl-C ends it with exit status 0."""
        await self.received("bob")
        alice = self.chat("alice", self.links["bob"])
        self.type(alice, "hello\n")
        await alice.says("✓ hello")
        alice.signal("INT")
        self.assertEqual((await alice.ended).status, 0)

    async def test_nobody(self) -> None:
        """A contact who is not known, or never was online, is told at once."""
        for contact, status, reason in (
            ("Nobody", 2, "nobody called"),
            (self.links["bob"], 1, "never been online"),
        ):
            ended = await self.tace("chat", "--node", self.url, contact, home="alice")
            self.assertEqual(ended.status, status)
            self.assertIn(reason, " ".join(ended.errors.split()))

    async def test_without_a_node(self) -> None:
        """What is typed waits in the outbox: exit status 3, and it says so."""
        await self.received("bob")
        await self.tace("send", "--node", self.url, self.links["bob"], "before", home="alice")
        await self.stop_node(self.node)
        program = self.chat("alice", self.links["bob"])
        self.type(program, "later\n")
        await program.says("what you type waits in the outbox")
        program.signal("INT")
        ended = await program.ended
        self.assertEqual(ended.status, 3)
        self.assertIn("still in the outbox", ended.errors)

"""``tace receive`` against a real node."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tace.client.home import Home
from tace.client.rows import MessageState
from tests.cli.one_node import OneNode


class Receiving(OneNode):
    """What is printed, and when it ends."""

    async def send(self, text: str) -> None:
        sent = await self.tace(
            "send", "--node", self.url, self.links["bob"], "--", text, home="alice"
        )
        self.assertEqual(sent.status, 0, sent)

    async def test_json(self) -> None:
        """One object a line, in order, with times in UTC."""
        self.assertEqual(await self.received("bob"), [])
        await self.send("one")
        await self.send("-two")
        got = await self.received("bob")
        self.assertEqual([message["text"] for message in got], ["one", "-two"])
        shown = await self.tace("identity", "show", "--json", home="alice")
        for message in got:
            self.assertEqual(
                set(message), {"id", "kind", "from", "name", "text", "sent", "received"}
            )
            self.assertEqual(message["kind"], "text")
            self.assertEqual(message["name"], "Alice")
            self.assertEqual(message["from"], json.loads(shown.output)["public_key"])
            for field in ("sent", "received"):
                self.assertRegex(message[field], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                age = datetime.now(UTC) - datetime.fromisoformat(message[field])
                self.assertLess(age.total_seconds(), 120)
        self.assertEqual(await self.received("bob"), [])

    async def test_receipts_are_out_before_it_ends(self) -> None:
        """Right after the recipient's command the sender's next one knows."""
        await self.received("bob")
        await self.send("one")
        await self.received("bob")
        await self.received("alice")
        home = Home.open(self.directory / "alice", ask_passphrase=lambda: "", random_bytes=bytes)
        self.addCleanup(home.close)
        (peer,) = home.database.peers_named("Bob")
        (message,) = home.database.conversation(peer.identity, 10)
        self.assertEqual((message.text, message.state), ("one", MessageState.DELIVERED))

    async def test_a_stranger_who_waits(self) -> None:
        """Where the user wants to be asked: said, held back, and shown once it is accepted."""
        await self.received("bob")
        policy = await self.tace("contact", "requests", "--policy", "ask", home="bob")
        self.assertEqual(policy.status, 0)
        await self.send("let me in")
        waits = await self.tace("receive", "--json", home="bob")
        self.assertEqual((waits.status, waits.output), (0, ""))
        self.assertEqual(
            waits.errors, "Alice is a stranger and wrote: see `tace contact requests`\n"
        )
        listed = await self.tace("contact", "requests", "--json", home="bob")
        told = json.loads(listed.output)
        self.assertEqual((told["own_name"], told["waiting"]), ("Alice", 1))
        accepted = await self.tace("contact", "accept", "Alice", home="bob")
        self.assertEqual((accepted.status, accepted.output), (0, "accepted Alice\n"))
        self.assertEqual([m["text"] for m in await self.received("bob")], ["let me in"])

    async def test_for_people(self) -> None:
        """Name and text; what would steer the terminal is left out."""
        await self.received("bob")
        await self.send("red \x1b[31malert\nnext line")
        printed = (await self.tace("receive", home="bob")).output
        self.assertRegex(printed, r"^\d\d:\d\d Alice: red \[31malert\n    next line\n$")

    async def test_follow(self) -> None:
        """It prints what arrives, until it is interrupted: exit status 0."""
        follower = self.command("receive", "--node", self.url, "--follow", "--json", home="bob")
        await self.received("alice")
        for _ in range(50):
            sent = await self.tace(
                "send", "--node", self.url, self.links["bob"], "first", home="alice"
            )
            if sent.status == 0:
                break
            self.assertIn("never been online", sent.errors)
        await follower.says('"text": "first"')
        await self.send("second")
        await follower.says('"text": "second"')
        follower.signal("INT")
        ended = await follower.ended
        self.assertEqual((ended.status, ended.errors), (0, ""))
        texts = [json.loads(line)["text"] for line in ended.output.splitlines()]
        self.assertEqual(texts, ["first", "second"])

    async def test_no_node(self) -> None:
        """Exit status 1 and one line."""
        await self.stop_node(self.node)
        ended = await self.tace("receive", "--node", self.url, home="bob")
        self.assertEqual(ended.status, 1)
        self.assertRegex(ended.errors, r"^Error: no node could be reached [^\n]*\n$")

    async def test_no_node_is_known(self) -> None:
        """The first time a node has to be named."""
        ended = await self.tace("receive", home="bob")
        self.assertEqual(ended.status, 1)
        self.assertIn("--node URL", ended.errors)

    async def test_a_restored_identity(self) -> None:
        """From its code on an empty home: its contacts' next messages arrive there."""
        told = self.new_identity("carol")
        await self.received("carol")
        await self.tace("send", "--node", self.url, told["link"], "one", home="alice")
        await self.received("carol")
        await self.received("alice")
        restored = await self.tace(
            "identity", "restore", "--json", told["recovery_code"], home="carol2"
        )
        self.assertEqual(json.loads(restored.output)["public_key"], told["public_key"])
        await self.received("carol2")
        await self.tace("send", told["link"], "two", home="alice")
        self.assertEqual([m["text"] for m in await self.received("carol2")], ["two"])
        old = await self.tace("receive", home="carol")
        self.assertEqual(old.status, 1)
        self.assertIn("restored on another device", old.errors)

"""``tace send`` against a real node."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner
from twisted.internet import reactor
from twisted.internet.address import IPv4Address

from tace.cli.main import main
from tests.cli.one_node import OneNode


class Sending(OneNode):
    """Exit status 0 stored, 1 failed, 2 wrong usage, 3 in the outbox."""

    async def test_stored(self) -> None:
        """To a link; the fields that programs read."""
        await self.received("bob")
        sent = await self.tace(
            "send", "--node", self.url, "--json", self.links["bob"], "hello", home="alice"
        )
        self.assertEqual((sent.status, sent.errors), (0, ""))
        told = json.loads(sent.output)
        self.assertEqual(set(told), {"id", "state", "copies", "of"})
        self.assertEqual((told["state"], told["copies"], told["of"]), ("stored", 1, 1))
        (got,) = await self.received("bob")
        self.assertEqual((got["id"], got["text"]), (told["id"], "hello"))

    async def test_to_a_name_and_from_standard_input(self) -> None:
        """Whoever wrote once can be written to by name; nodes that were met are remembered."""
        await self.received("bob")
        await self.tace("send", "--node", self.url, self.links["bob"], "hi", home="alice")
        await self.received("bob")
        program = self.command("send", "Alice", "-", home="bob")
        assert program.transport is not None
        program.transport.write("zwei\nZeilen — ✓\n".encode())
        program.transport.closeStdin()
        sent = await program.ended
        self.assertEqual((sent.status, sent.output), (0, "stored on 1 of 1 nodes\n"))
        (got,) = await self.received("alice")
        self.assertEqual((got["name"], got["text"]), ("Bob", "zwei\nZeilen — ✓"))

    async def test_to_a_public_key(self) -> None:
        """The key that ``identity show`` prints is as good as the link."""
        await self.received("bob")
        shown = await self.tace("identity", "show", "--json", home="bob")
        key = json.loads(shown.output)["public_key"]
        sent = await self.tace("send", "--node", self.url, key, "hello", home="alice")
        self.assertEqual(sent.status, 0)
        self.assertEqual([m["text"] for m in await self.received("bob")], ["hello"])

    async def test_never_online(self) -> None:
        """Exit status 1, one line."""
        sent = await self.tace("send", "--node", self.url, self.links["bob"], "hello", home="alice")
        self.assertEqual(sent.status, 1)
        self.assertIn("has never been online", sent.errors)
        self.assertEqual(sent.output, "")

    async def test_wrong_usage(self) -> None:
        """Exit status 2, and the reason."""
        for arguments, reason in (
            ((self.links["bob"][:-1] + "u", "x"), "damaged"),
            (("Nobody", "x"), "nobody called"),
            ((self.links["bob"], ""), "nothing to send"),
            ((self.links["bob"], "x" * 65_530), "64 KiB"),
            (("--node", "ftp://x", self.links["bob"], "x"), "begins with http"),
        ):
            home = str(self.directory / "alice")
            result = CliRunner().invoke(main, ["send", "--home", home, *arguments])
            self.assertEqual(result.exit_code, 2, result.output)
            self.assertIn(reason, " ".join(result.stderr.split()))

    async def test_to_oneself(self) -> None:
        """Wrong usage as well."""
        sent = await self.tace("send", "--node", self.url, self.links["alice"], "x", home="alice")
        self.assertEqual(sent.status, 2)
        self.assertIn("own identity", " ".join(sent.errors.split()))

    async def test_queued(self) -> None:
        """No node: exit status 3; the next command that finds one sends it."""
        await self.received("bob")
        port = int(self.url.rpartition(":")[2])
        await self.stop_node(self.node)
        sent = await self.tace(
            "send", "--node", self.url, "--json", self.links["bob"], "later", home="alice"
        )
        self.assertEqual(sent.status, 3)
        told = json.loads(sent.output)
        self.assertEqual((told["state"], told["copies"], told["of"]), ("queued", 0, 0))
        self.start_node(f"tcp:{port}:interface=127.0.0.1")
        await self.received("alice")
        self.assertEqual([m["text"] for m in await self.received("bob")], ["later"])

    async def test_a_node_that_is_none(self) -> None:
        """A port where something else listens: the other node is taken."""
        from twisted.web.resource import Resource
        from twisted.web.server import Site

        site: Any = Site(Resource())
        port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        address = port.getHost()
        assert isinstance(address, IPv4Address)
        await self.received("bob")
        sent = await self.tace(
            "send",
            "--node",
            f"http://127.0.0.1:{address.port}",
            "--node",
            self.url,
            self.links["bob"],
            "hello",
            home="alice",
        )
        self.assertEqual((sent.status, sent.output), (0, "stored on 1 of 1 nodes\n"))

    async def test_a_long_text(self) -> None:
        """In how many parts it goes is said before, and told to programs."""
        await self.received("bob")
        long = "x" * 5000
        sent = await self.tace(
            "send", "--node", self.url, "--json", self.links["bob"], long, home="alice"
        )
        self.assertEqual(sent.status, 0)
        told = json.loads(sent.output)
        self.assertEqual((told["state"], told["parts"]), ("stored", 3))
        self.assertEqual(sent.errors, "the text is long: it goes in 3 parts\n")
        (got,) = await self.received("bob")
        self.assertEqual((got["id"], got["text"]), (told["id"], long))

    async def test_wait(self) -> None:
        """0 when it was delivered in time; 4 when it is stored alone; what came stays for later."""
        await self.received("bob")
        to = ("--node", self.url, "--json", self.links["bob"], "hello")
        sent = await self.tace("send", "--wait", "0.5", *to, home="alice")
        self.assertEqual((sent.status, json.loads(sent.output)["state"]), (4, "stored"))
        follower = self.command("receive", "--node", self.url, "--follow", home="bob")
        await follower.says("hello")
        await self.tace("send", "--node", self.url, self.links["alice"], "later", home="bob")
        sent = await self.tace("send", "--wait", "60", *to, home="alice")
        self.assertEqual((sent.status, json.loads(sent.output)["state"]), (0, "delivered"))
        self.assertEqual([m["text"] for m in await self.received("alice")], ["later"])

    async def test_wait_without_a_node(self) -> None:
        """3, after that time."""
        await self.received("bob")
        await self.tace("send", "--node", self.url, self.links["bob"], "one", home="alice")
        await self.stop_node(self.node)
        sent = await self.tace("send", "--wait", "1", self.links["bob"], "two", home="alice")
        self.assertEqual(sent.status, 3)
        for seconds in ("-1", "soon", "99999999"):
            arguments = ["send", "--home", "x", "--wait", seconds, self.links["bob"], "x"]
            self.assertEqual(CliRunner().invoke(main, arguments).exit_code, 2)

"""Two people and the ``tace`` command, where it is not plain sailing."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.command import Person, run_command
from tests.smoke.stage.nodes import Nodes


class People(SmokeCase):
    """Three nodes, each person at another one."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        # The proof of work on first messages is not what is tested.
        self.nodes = Nodes(self, 3, {"limits.requests_stamp_bits": 8})
        await self.nodes.start()
        self.homes = Path(self.mktemp()).absolute()
        self.alice = await Person.new(self, self.homes / "alice", "Alice")
        self.bob = await Person.new(self, self.homes / "bob", "Bob")
        for person in (self.alice, self.bob):
            # Their first time online publishes the record that others need to write to them.
            self.assertEqual(await person.receive(self.nodes.plans[0].url), [])

    async def _both(self, alices: str, bobs: str) -> list[list[str]]:
        """Both send at the same moment; the texts that Bob and Alice then receive."""
        url = [plan.url for plan in self.nodes.plans]
        await gatherResults(
            [
                Deferred.fromCoroutine(self.alice.send(url[1], self.bob.public_key, alices)),
                Deferred.fromCoroutine(self.bob.send(url[2], self.alice.public_key, bobs)),
            ]
        )
        return [
            [message["text"] for message in await person.receive(url[0])]
            for person in (self.bob, self.alice)
        ]

    async def test_first_at_the_same_moment(self) -> None:
        """Two who never met both start a session; both messages arrive, and so do the next."""
        self.assertEqual(
            await self._both("hello Bob", "hello Alice"), [["hello Bob"], ["hello Alice"]]
        )
        self.assertEqual(
            await self._both("so you too", "what luck"), [["so you too"], ["what luck"]]
        )

    async def test_restored_identity(self) -> None:
        """From its recovery code alone, in an empty home: a contact's next messages arrive."""
        url = [plan.url for plan in self.nodes.plans]
        await self.bob.send(url[2], self.alice.public_key, "to the old home")
        await self.alice.receive(url[1])
        # Alice's receipt: nothing of Bob's is unconfirmed, which he would send again.
        await self.bob.receive(url[2])

        home = self.homes / "alice again"
        code = self.alice.recovery_code
        ended = await run_command(self, "identity", "restore", "--home", str(home), "--json", code)
        self.assertEqual(ended.status, 0, ended)
        restored = Person(self, home, json.loads(ended.output)["public_key"])
        self.assertEqual(restored.public_key, self.alice.public_key)
        self.assertEqual(await restored.receive(url[0]), [])
        for text in ("to the new home", "and again"):
            await self.bob.send(url[2], self.alice.public_key, text)
            (message,) = await restored.receive(url[0])
            self.assertEqual((message["name"], message["text"]), ("Bob", text))
        await restored.send(url[0], self.bob.public_key, "still me")
        (answer,) = await self.bob.receive(url[2])
        self.assertEqual((answer["from"], answer["text"]), (self.alice.public_key, "still me"))

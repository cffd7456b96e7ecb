"""A message that waits while nobody of those concerned is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.command import Person
from tests.smoke.stage.nodes import Nodes


class Offline(SmokeCase):
    """The real command, end to end encrypted."""

    async def test_everything_stops(self) -> None:
        """The recipient is away, the sender never comes back, every node stops and starts: the
        message is delivered, once.
        """
        homes = Path(self.mktemp()).absolute()
        nodes = Nodes(self, 3)
        await nodes.start()
        alice = await Person.new(self, homes / "alice", "Alice")
        bob = await Person.new(self, homes / "bob", "Bob")
        # His first time online publishes the record that others need to write to him.
        self.assertEqual(await bob.receive(nodes.plans[0].url), [])
        sent = await alice.send(nodes.plans[1].url, bob.public_key, "see you tomorrow")
        self.assertEqual((sent["state"], sent["of"]), ("stored", 3))
        shutil.rmtree(alice.home)

        ended = await nodes.stop()
        self.assertEqual([each.status for each in ended], [0, 0, 0])
        await nodes.start()
        (message,) = await bob.receive(nodes.plans[2].url)
        self.assertEqual(
            (message["id"], message["from"], message["name"], message["text"]),
            (sent["id"], alice.public_key, "Alice", "see you tomorrow"),
        )
        self.assertEqual(await bob.receive(nodes.plans[0].url), [])

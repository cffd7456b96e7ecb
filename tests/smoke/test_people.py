"""Two people and the ``tace`` command, where it is not plain sailing."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults

from tace.e2ee.stamp import stamp_search, with_stamp
from tace.wire.objects import Envelope
from tests.smoke.stage.case import SmokeCase
from tests.smoke.stage.command import Person, run_command
from tests.smoke.stage.databases import waiting_in
from tests.smoke.stage.nodes import Nodes
from tests.smoke.stage.people import Sender
from tests.smoke.stage.waiting import until

STAMP_BITS = 8
"""Of the first messages to somebody. The proof of work is not what is tested."""
GONE_WITHIN_SECONDS = 5.0


class People(SmokeCase):
    """Three nodes, each person at another one."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        self.nodes = Nodes(self, 3, {"limits.requests_stamp_bits": STAMP_BITS})
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

    async def test_redated_envelope(self) -> None:
        """Whoever re-dates what somebody sent makes no second message of it: it does not open,
        and the owner has it removed.
        """
        url = [plan.url for plan in self.nodes.plans]
        await self.alice.send(url[1], self.bob.public_key, "once")
        (sent,) = waiting_in(self.nodes.database(1))
        redated = _stamped(_redated(sent))
        sender = await Sender.at(self, self.nodes.address(1))
        self.assertEqual((await sender.send_one(redated)).state, "stored")
        self.assertEqual([m["text"] for m in await self.bob.receive(url[0])], ["once"])
        self.assertEqual(await self.bob.receive(url[2]), [])

        async def gone() -> bool:
            everything = [e for i in range(3) for e in waiting_in(self.nodes.database(i))]
            return not any(envelope.mailbox == sent.mailbox for envelope in everything)

        await until("both have left every disk", gone, GONE_WITHIN_SECONDS)
        self.assertEqual((await sender.send_one(redated)).state, "removed")


def _redated(sent: Envelope) -> Envelope:
    """The same, but to be kept an hour less."""
    return Envelope.make(
        mailbox=sent.mailbox,
        expires_hours=sent.expires_hours - 1,
        lock=sent.lock,
        blob=sent.blob,
    )


def _stamped(envelope: Envelope) -> Envelope:
    nonce = next(n for n in stamp_search(envelope.id, STAMP_BITS) if n is not None)
    return with_stamp(envelope, STAMP_BITS, nonce)

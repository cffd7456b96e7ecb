"""Stamps, made in a thread and given up."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tace.client.stamping import Stamper, StampGivenUp
from tace.ids import KIND_REQUESTS, mailbox_id
from tace.wire.objects import BLOB_BYTES, Envelope

ENVELOPE = Envelope.make(
    mailbox=mailbox_id(b"\x02" + bytes(32), KIND_REQUESTS),
    expires_hours=500_000,
    lock=bytes(32),
    blob=bytes(BLOB_BYTES),
)


class Stamps(TestCase):
    """In a real thread."""

    timeout = 30

    async def test_made(self) -> None:
        """It satisfies who wants it, and leaves the id as it is."""
        stamped = await Stamper(deferToThread).stamp(ENVELOPE, 10)
        self.assertTrue(stamped.stamped_for(10))
        self.assertFalse(ENVELOPE.stamped_for(10))
        self.assertEqual(stamped.id, ENVELOPE.id)

    async def test_given_up(self) -> None:
        """A search that would take for ever ends when the program does."""
        stamper = Stamper(deferToThread)
        search = stamper.stamp(ENVELOPE, 200)
        reactor.callLater(0, stamper.stop)
        with self.assertRaises(StampGivenUp):
            await search

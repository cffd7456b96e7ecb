"""What is put into mailboxes and beside them."""

from __future__ import annotations

from tace.config.sections import MIB
from tests.attack.stage import AttackCase


class Objects(AttackCase):
    """From clients and from nodes: each gets its word, and the disk keeps nothing of it."""

    async def test_expired(self) -> None:
        """Envelopes and tombstones of yesterday."""
        await self.begin()
        words = await self.attack("expired", size=6)
        self.assertEqual(words, {"expired": 3 * 6})
        self.assert_logged("refused 127.0.0.1", "expired")

    async def test_far_ahead(self) -> None:
        """Envelopes and tombstones for ever."""
        await self.begin()
        words = await self.attack("far-ahead", size=6)
        self.assertEqual(words, {"too-far-ahead": 3 * 6})
        self.assert_logged("refused 127.0.0.1", "too-far-ahead")

    async def test_low_stamps(self) -> None:
        """None, too little, and more claimed than shown."""
        await self.begin()
        words = await self.attack("low-stamps", size=6)
        self.assertEqual(words, {"stamp-required": 2 * 6})
        self.assert_logged("refused 127.0.0.1", "stamp-required")

    async def test_old_records(self) -> None:
        """The newest stays the one that is found."""
        await self.begin()
        words = await self.attack("old-records", size=4)
        self.assertEqual(words, {"stale-sequence": 2 * 4})

    async def test_large_records(self) -> None:
        """Beyond 8 KiB it is no message; a length that does not fit is no record."""
        await self.begin()
        words = await self.attack("large-records")
        self.assertEqual(words, {"protocol-error": 2, "bad-record": 2})
        self.assert_logged("refused 127.0.0.1", "protocol-error")

    async def test_junk(self) -> None:
        """Nobody sees it; who sends it again hears that it was removed."""
        await self.begin()
        words = await self.attack("junk", size=3)
        self.assertEqual(words, {"removed": 3})
        self.assertEqual(self.ledger.strays, [])

    async def test_quota(self) -> None:
        """A mailbox is full; those of others are not."""
        await self.begin(**{"storage.mailbox_max_items": 32})
        words = await self.attack("quota", size=48)
        self.assertEqual(words, {"stored": 32, "quota": 16})

    async def test_tombstones_in_one_mailbox(self) -> None:
        """For messages that are not here: as many as that mailbox could ever have held."""
        await self.begin(**{"storage.mailbox_max_items": 4})
        words = await self.attack("tombstone-flood", size=600)
        self.assertEqual(words, {"stored": 300 + 4 * 64, "quota": 300 - 4 * 64})

    async def test_tombstones_everywhere(self) -> None:
        """A part of the disk is theirs and no more; messages come and go beside them."""
        await self.begin(**{"storage.max_bytes": 4 * MIB})
        words = await self.attack("tombstone-flood", size=3000)
        self.assertEqual(set(words), {"stored", "full"})
        self.assertLess(words["stored"], 2500)

"""Strangers at the peer port: noise, half of something, too much, nothing, stolen words."""

from __future__ import annotations

from tace.lab.attack.ground import CUT
from tace.links import reading
from tace.links.rates import MAX_FORGERIES
from tests.attack.stage import AttackCase


class Strangers(AttackCase):
    """Each hears its word or is cut, one line in the log says so, and nobody else notices."""

    async def test_noise(self) -> None:
        """Where TLS is spoken: cut, for there is nothing that could be answered."""
        await self.begin()
        await self.attack("peer-noise")
        self.assert_logged("refused 127.0.0.1", "tls")

    async def test_noise_in_tls(self) -> None:
        """Where a hello is due."""
        await self.begin()
        words = await self.attack("peer-noise-in-tls", size=8)
        self.assertEqual(words, {"protocol-error": 8})
        self.assert_logged("refused 127.0.0.1", "protocol-error")
        self.assertEqual(self.counted("links_refused_total", code="protocol-error"), 8)

    async def test_half_frames(self) -> None:
        """A hello that never ends has as long as any."""
        await self.begin()
        await self.attack("peer-half-frames")
        self.assert_logged("refused 127.0.0.1", "hello-too-late")

    async def test_oversized(self) -> None:
        """The length alone decides, before the hello and after it."""
        await self.begin()
        words = await self.attack("peer-oversized", size=9)
        self.assertEqual(words, {"protocol-error": 9 + 3})
        self.assert_logged("refused 127.0.0.1", "protocol-error")

    async def test_nested(self) -> None:
        """A thousand arrays in each other are no hello and no request."""
        await self.begin()
        words = await self.attack("peer-nested", size=2)
        self.assertEqual(words, {"protocol-error": 2 + 2})
        self.assert_logged("refused 127.0.0.1", "protocol-error")

    async def test_slow_handshakes(self) -> None:
        """Slow loris: a byte now and then earns no more time."""
        await self.begin()
        await self.attack("peer-slow-handshakes")
        self.assert_logged("refused 127.0.0.1", "hello-too-late")

    async def test_silence(self) -> None:
        """Four times as many as may be here unproved: cut at once, the others when time is up."""
        await self.begin(**{"links.max_unproved": 64})
        words = await self.attack("peer-silence", size=256)
        self.assertEqual(words, {CUT: 256})
        self.assert_logged("refused 127.0.0.1", "too-many-unproved")
        self.assertGreaterEqual(
            self.counted("links_refused_total", code="too-many-unproved"), 256 - 64
        )

    async def test_wrong_key(self) -> None:
        """A record proves nothing that its key has not signed for this very session."""
        await self.begin()
        words = await self.attack("peer-wrong-key", size=4)
        self.assertEqual(words, {"bad-link-proof": 4})
        self.assert_logged("refused 127.0.0.1", "bad-link-proof")

    async def test_replayed_hello(self) -> None:
        """Another session's hello is worth nothing, the node's own even less."""
        await self.begin()
        words = await self.attack("peer-replayed-hello", size=3)
        self.assertEqual(words, {"bad-link-proof": 3, "wrong-node": 1})
        self.assertEqual(self.counted("links_refused_total", code="wrong-node"), 1)

    async def test_replayed_frames(self) -> None:
        """A second hello, and a request id that is in use."""
        await self.begin()
        words = await self.attack("peer-replayed-frames")
        self.assertEqual(words, {"protocol-error": 2})
        self.assert_logged("refused 127.0.0.1", "protocol-error")

    async def test_replayed_lease(self) -> None:
        """A lease opens its mailbox to the node it names, and to no other."""
        await self.begin()
        words = await self.attack("peer-replayed-lease", size=4)
        self.assertEqual(words, {"unauthorized": 4})
        self.assert_logged("refused 127.0.0.1", "unauthorized")

    async def test_forged_records(self) -> None:
        """Each has to be looked at: a few are, on one link or on the next."""
        await self.begin()
        words = await self.attack("peer-forged-records")
        self.assertEqual(words, {"forged": 2})
        self.assertLess(self.counted("records_refused_total", reason="bad"), 2 * MAX_FORGERIES)
        self.assert_logged("refused 127.0.0.1", "bad-record")

    async def test_unasked_answers(self) -> None:
        """Of every kind: each ends the link."""
        await self.begin()
        words = await self.attack("peer-unasked-answers", size=5)
        self.assertEqual(words, {"protocol-error": 5})
        self.assert_logged("refused 127.0.0.1", "which was not asked")


class SlowReader(AttackCase):
    """A peer that asks and does not read."""

    async def test_is_cut(self) -> None:
        """When it takes nothing for long, whatever it goes on to say. (Whether its requests stay
        where they are meanwhile, or are refused, depends on whether the node has just asked it
        something; both are tested with the links.)"""
        self.patch(reading, "STALLED_SECONDS", 0.5)
        await self.begin()
        words = await self.attack("peer-never-reads")
        self.assertEqual(words, {CUT: 1})
        self.assert_logged("refused 127.0.0.1", "reads-too-slowly")


class Liars(AttackCase):
    """Nodes with a good name and bad answers."""

    async def test_ring_lies(self) -> None:
        """Pointers that nobody has proved are not followed, however often they are offered."""
        node = await self.begin()
        words = await self.attack("peer-ring-lies")
        self.assertEqual(set(words), {"not-adopted"})
        known = {record.node_id for record in node.core.membership.table}
        # Itself and the liar: of forty invented ones none.
        self.assertEqual(len(known), 2)
        self.assertGreater(self.counted("records_refused_total", reason="bad"), 0)

    async def test_circular_redirects(self) -> None:
        """Nobody is asked more than three times for one envelope, and the sender has its answer."""
        await self.begin()
        words = await self.attack("peer-circular-redirects", size=4)
        self.assertEqual(set(words), {"given-up"})
        self.assertGreater(self.counted("redirects_total"), 0)

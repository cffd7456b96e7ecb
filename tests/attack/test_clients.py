"""Clients that break the protocol, and raw bytes at the client port."""

from __future__ import annotations

from tace.gateway import channel
from tace.lab.attack.ground import CUT, SERVED
from tests.attack.stage import AttackCase

OPENING_SECONDS = 0.6
"""What a connection has for its first request here, in the place of 20 s."""


class Clients(AttackCase):
    """Over WebSocket: each hears its word before it is cut off."""

    async def test_noise(self) -> None:
        """Text, too little, and bodies that are none."""
        await self.begin()
        words = await self.attack("client-noise", size=8)
        self.assertEqual(words, {"protocol-error": 8})
        self.assert_logged("client at", "protocol-error")

    async def test_nested(self) -> None:
        """A thousand arrays in each other are no request."""
        await self.begin()
        words = await self.attack("client-nested", size=3)
        self.assertEqual(words, {"protocol-error": 3})
        self.assert_logged("client at", "protocol-error")

    async def test_oversized(self) -> None:
        """WebSocket's own word for it, close code 1009."""
        await self.begin()
        words = await self.attack("client-oversized", size=3)
        self.assertEqual(words, {"too-large": 3})
        self.assert_logged("client at", "too-large")

    async def test_words_of_a_node(self) -> None:
        """A push is not for clients to send."""
        await self.begin()
        words = await self.attack("client-node-words", size=3)
        self.assertEqual(words, {"protocol-error": 3})

    async def test_replayed_lease(self) -> None:
        """Of another connection, node or origin, or over: one answer."""
        await self.begin()
        words = await self.attack("client-replayed-lease", size=4)
        self.assertEqual(words, {"unauthorized": 4})
        self.assert_logged("client at", "unauthorized")

    async def test_never_acks(self) -> None:
        """What waits is bounded by the window on the wire and by the quota on the disk."""
        await self.begin(**{"storage.mailbox_max_items": 96})
        words = await self.attack("client-never-acks", size=128)
        self.assertEqual(words, {"stored": 96, "quota": 32, SERVED: 1, "window": 1})

    async def test_silence(self) -> None:
        """More clients than there is room for; the two who talk have theirs."""
        await self.begin(**{"gateway.max_connections": 24})
        words = await self.attack("client-silence", size=40)
        # The two have an inbox each, and one or two outboxes.
        self.assertGreaterEqual(words[CUT], 40 - 24)
        self.assertGreaterEqual(words[SERVED], 1)


class Http(AttackCase):
    """Raw bytes where HTTP is spoken."""

    async def begin_impatient(self) -> None:
        self.patch(channel, "OPENING_SECONDS", OPENING_SECONDS)
        await self.begin()

    async def test_noise(self) -> None:
        """What is no request is refused or cut."""
        await self.begin()
        await self.attack("http-noise")

    async def test_large_bodies(self) -> None:
        """Refused by their length, before a byte of them is read."""
        await self.begin()
        words = await self.attack("http-large-bodies", size=4)
        self.assertEqual(words, {"http-400": 4})

    async def test_slow_headers(self) -> None:
        """Slow loris: so long for a request, whatever trickles in."""
        await self.begin_impatient()
        self.assertEqual(await self.attack("http-slow-headers", size=8), {CUT: 8})

    async def test_slow_body(self) -> None:
        """The same for its body."""
        await self.begin_impatient()
        self.assertEqual(await self.attack("http-slow-body", size=8), {CUT: 8})

    async def test_silence(self) -> None:
        """Connections without a byte."""
        await self.begin_impatient()
        self.assertEqual(await self.attack("http-silence", size=200), {CUT: 200})

    async def test_nested(self) -> None:
        """A polled session ends as a connection does."""
        await self.begin()
        self.assertEqual(await self.attack("http-nested", size=3), {"http-400": 3})

    async def test_guessed_tokens(self) -> None:
        """Nobody's session."""
        await self.begin()
        self.assertEqual(await self.attack("http-guessed-tokens", size=3), {"http-401": 3})

"""How fast clients may ask: what a command costs, and who has to wait."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.gateway.rates import (
    BURST_SECONDS,
    CONNECTION_SHARE,
    Kind,
    RateLimits,
    Rates,
    cost_of,
)
from tace.wire.client import (
    Ack,
    ClientPing,
    FindRecord,
    GetBlob,
    GetNetwork,
    PublishRecord,
    Send,
    StartWatch,
)
from tace.wire.fields import TombstoneField

NOW = 1_800_000_000.0
GROUP = "192.0.2.1"


class CostTests(SynchronousTestCase):
    """What each command takes."""

    def test_by_what_is_in_it(self) -> None:
        """Envelopes and tombstones are counted one by one, removals by their length."""
        tombstones = tuple(TombstoneField(bytes(32), bytes(84)) for _ in range(5))
        for message, kind, amount in (
            (Send((bytes(3630),) * 16), Kind.SENDS, 16),
            (Ack(tombstones), Kind.ACKS, 5),
            (Ack(tombstones, (bytes(2403), bytes(99))), Kind.ACKS, 5 + 66 + 2),
            (FindRecord(bytes(32)), Kind.LOOKUPS, 1),
            (GetNetwork(), Kind.LOOKUPS, 1),
            (PublishRecord(bytes(200)), Kind.RECORDS, 1),
            (GetBlob(bytes(32)), Kind.BLOBS, 1),
        ):
            cost = cost_of(message)
            assert cost is not None
            self.assertEqual((cost.kind, cost.amount), (kind, amount))

    def test_what_costs_nothing_more(self) -> None:
        """They are counted as commands only."""
        for message in (ClientPing(), StartWatch((bytes(32),))):
            self.assertIsNone(cost_of(message))

    def test_what_is_large_does_not_wait(self) -> None:
        """It would be kept meanwhile."""
        for message, small in ((Send((bytes(3630),)), False), (GetBlob(bytes(32)), True)):
            cost = cost_of(message)
            assert cost is not None
            self.assertEqual(cost.small, small)


class AllowanceTests(SynchronousTestCase):
    """Who may have how much."""

    def test_a_connection_has_a_quarter(self) -> None:
        """The address has room left for the others."""
        rates = Rates(RateLimits(lookups=8.0))
        first, second = rates.of_connection(GROUP), rates.of_connection(GROUP)
        mine = _taken(first, Kind.LOOKUPS)
        self.assertEqual(mine, 8 * CONNECTION_SHARE * BURST_SECONDS)
        self.assertEqual(_taken(second, Kind.LOOKUPS), mine)

    def test_an_address_has_no_more_for_many_connections(self) -> None:
        """The fifth finds nothing left; another address is not touched."""
        rates = Rates(RateLimits(lookups=8.0))
        taken = [_taken(rates.of_connection(GROUP), Kind.LOOKUPS) for _ in range(6)]
        self.assertEqual(sum(taken), 8 * BURST_SECONDS)
        self.assertEqual(taken[-1], 0)
        self.assertGreater(_taken(rates.of_connection("192.0.2.2"), Kind.LOOKUPS), 0)

    def test_it_comes_back(self) -> None:
        """By what was told to wait."""
        allowance = Rates(RateLimits(lookups=8.0)).of_connection(GROUP)
        _taken(allowance, Kind.LOOKUPS)
        wait = allowance.wait(Kind.LOOKUPS, NOW)
        self.assertAlmostEqual(wait, 1 / (8 * CONNECTION_SHARE))
        self.assertEqual(allowance.wait(Kind.LOOKUPS, NOW + wait), 0.0)

    def test_this_machine(self) -> None:
        """Has no address to be counted by; each connection has its quarter."""
        rates = Rates(RateLimits(lookups=8.0))
        taken = [_taken(rates.of_connection(""), Kind.LOOKUPS) for _ in range(6)]
        self.assertEqual(taken, [16] * 6)

    def test_no_bound(self) -> None:
        """0 takes everything."""
        allowance = Rates(RateLimits()).of_connection(GROUP)
        for kind in Kind:
            self.assertEqual(allowance.wait(kind, NOW, 1e9), 0.0)

    def test_kinds_do_not_share(self) -> None:
        """Who has no look-ups left may still send."""
        allowance = Rates(RateLimits(lookups=8.0, sends=8.0)).of_connection(GROUP)
        _taken(allowance, Kind.LOOKUPS)
        self.assertEqual(allowance.wait(Kind.SENDS, NOW), 0.0)

    def test_a_mailbox(self) -> None:
        """Its acks are counted whoever brings them, whatever the connection."""
        rates = Rates(RateLimits(acks=8.0))
        self.assertEqual(rates.wait_of_mailbox(bytes(32), NOW, 16), 0.0)
        self.assertGreater(rates.wait_of_mailbox(bytes(32), NOW, 1), 0.0)
        self.assertEqual(rates.wait_of_mailbox(bytes(31) + b"1", NOW, 16), 0.0)


def _taken(allowance: object, kind: Kind) -> int:
    """How much was there at once."""
    taken = 0
    while not allowance.wait(kind, NOW):  # type: ignore[attr-defined]
        taken += 1
    return taken

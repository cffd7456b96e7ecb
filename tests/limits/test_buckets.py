"""What a token bucket grants, and for how long it says to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.limits import BucketTable, TokenBucket


class TokenBucketTests(SynchronousTestCase):
    """One asker."""

    def test_a_burst_and_no_more(self) -> None:
        """A new bucket is full; then it says when the next one may come."""
        bucket = TokenBucket(2, 3)
        self.assertEqual([bucket.take(10.0) for _ in range(4)], [0.0, 0.0, 0.0, 0.5])

    def test_waiting_as_long_as_it_said_is_enough(self) -> None:
        """And a little less is not."""
        bucket = TokenBucket(4, 10)
        bucket.take(0.0, 10)
        wait = bucket.take(0.0, 3)
        self.assertEqual(wait, 0.75)
        self.assertGreater(bucket.take(0.7, 3), 0.0)
        self.assertEqual(bucket.take(0.75, 3), 0.0)

    def test_refusal_takes_nothing(self) -> None:
        """Asking in vain does not push the time back."""
        bucket = TokenBucket(1, 1)
        bucket.take(0.0)
        for _ in range(100):
            bucket.take(0.5)
        self.assertEqual(bucket.take(1.0), 0.0)

    def test_idleness_earns_a_burst_at_most(self) -> None:
        """Not a day's worth."""
        bucket = TokenBucket(100, 5)
        bucket.take(0.0, 5)
        self.assertEqual(bucket.take(86_400.0, 5), 0.0)
        self.assertGreater(bucket.take(86_400.0), 0.0)

    def test_larger_than_the_burst(self) -> None:
        """Granted from a full bucket; the debt is paid before the next."""
        bucket = TokenBucket(10, 10)
        self.assertEqual(bucket.take(0.0, 30), 0.0)
        self.assertEqual(bucket.take(0.0, 1), 2.1)
        self.assertEqual(bucket.take(2.0, 30), 1.0)
        self.assertEqual(bucket.take(3.0, 30), 0.0)

    def test_a_clock_that_goes_back(self) -> None:
        """Neither fills the bucket nor freezes it until the old time has come again."""
        bucket = TokenBucket(1, 1)
        bucket.take(1000.0)
        self.assertEqual(bucket.take(10.0), 1.0)
        self.assertEqual(bucket.take(11.0), 0.0)

    def test_full(self) -> None:
        """As good as a new one."""
        bucket = TokenBucket(1, 2)
        self.assertTrue(bucket.is_full(0.0))
        bucket.take(0.0)
        self.assertFalse(bucket.is_full(0.5))
        self.assertTrue(bucket.is_full(1.0))

    def test_no_rate_or_no_burst(self) -> None:
        """Would refuse for ever: a mistake of the caller."""
        for rate, burst in ((0, 1), (1, 0), (-1, 1), (float("nan"), 1)):
            self.assertRaises(ValueError, TokenBucket, rate, burst)
            self.assertRaises(ValueError, BucketTable, rate, burst, 1)

    @given(st.floats(0.001, 1e9), st.floats(1, 1e6), st.lists(st.floats(0, 1e6), max_size=20))
    def test_waiting_ends(self, rate: float, burst: float, amounts: list[float]) -> None:
        """Once is enough, in unix time too, where a float has no room for small waits."""
        bucket = TokenBucket(rate, burst)
        now = 1_800_000_000.0
        for amount in amounts:
            wait = bucket.take(now, amount)
            if wait > 0.0:
                now += wait
                self.assertEqual(bucket.take(now, amount), 0.0)

    @given(
        st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 20)), max_size=50),
        st.floats(0.1, 50),
        st.floats(1, 50),
    )
    def test_never_more_than_the_rate(
        self, asked: list[tuple[float, float]], rate: float, burst: float
    ) -> None:
        """In any time, what was granted is at most a burst, the rate, and one last overdraft."""
        bucket = TokenBucket(rate, burst)
        now = granted = 0.0
        largest = 0.0
        for pause, amount in asked:
            now += pause
            if bucket.take(now, amount) == 0.0:
                granted += amount
                largest = max(largest, amount)
        self.assertLessEqual(granted, burst + now * rate + max(0.0, largest - burst) + 1e-4)


class BucketTableTests(SynchronousTestCase):
    """Many askers."""

    def test_keys_do_not_share(self) -> None:
        """One that has used up its own takes nothing from another."""
        table: BucketTable[str] = BucketTable(1, 1, 10)
        self.assertEqual(table.take("a", 0.0), 0.0)
        self.assertGreater(table.take("a", 0.0), 0.0)
        self.assertEqual(table.take("b", 0.0), 0.0)

    def test_bounded(self) -> None:
        """The one that asked longest ago is forgotten; whoever keeps asking is not."""
        table: BucketTable[int] = BucketTable(1, 1, 3)
        for key in (1, 2, 3, 1, 4):
            table.take(key, 0.0)
        self.assertEqual(len(table), 3)
        self.assertGreater(table.take(1, 0.0), 0.0)
        self.assertEqual(table.take(2, 0.0), 0.0)
        table.take(2000, 0.0)
        for key in range(1000):
            table.take(key, 0.0)
            self.assertGreater(table.take(2000, 0.0), 0.0)
        self.assertEqual(len(table), 3)

    def test_full_buckets_are_forgotten(self) -> None:
        """And only those."""
        table: BucketTable[str] = BucketTable(1, 2, 10)
        table.take("a", 0.0)
        table.take("b", 0.0, 2)
        table.forget_full(1.5)
        self.assertEqual(len(table), 1)
        self.assertGreater(table.take("b", 1.5, 2), 0.0)

    def test_held_on_to(self) -> None:
        """Two that hold the bucket of one key share it."""
        table: BucketTable[str] = BucketTable(1, 1, 1)
        held = table.bucket("a")
        self.assertIs(table.bucket("a"), held)
        held.take(0.0)
        self.assertGreater(table.take("a", 0.0), 0.0)
        table.take("b", 0.0)
        self.assertGreater(held.take(0.0), 0.0)

    def test_room_for_none(self) -> None:
        """Is a mistake of the caller."""
        self.assertRaises(ValueError, BucketTable, 1, 1, 0)

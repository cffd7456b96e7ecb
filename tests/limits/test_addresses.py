"""Who counts as one party, and counting by it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tace.limits import AddressCounts, Admission, address_group, is_loopback


class AddressGroupTests(SynchronousTestCase):
    """One IPv4 address; the /56 of an IPv6 address."""

    def test_ipv4(self) -> None:
        """Each its own, however it is written."""
        self.assertEqual(address_group("192.0.2.1"), "192.0.2.1")
        self.assertNotEqual(address_group("192.0.2.1"), address_group("192.0.2.2"))
        self.assertEqual(address_group("::ffff:192.0.2.1"), address_group("192.0.2.1"))

    def test_ipv6(self) -> None:
        """A customer's /56 is one group, its neighbour's another."""
        group = address_group("2001:db8:1:ab00::1")
        self.assertEqual(group, "2001:db8:1:ab00::/56")
        self.assertEqual(address_group("2001:0DB8:1:abff:ffff:ffff:ffff:ffff"), group)
        self.assertNotEqual(address_group("2001:db8:1:aa00::1"), group)

    def test_scoped(self) -> None:
        """The interface behind a link-local address is not the sender's to choose."""
        self.assertEqual(address_group("fe80::1%eth0"), address_group("fe80::2%lo"))

    def test_no_address(self) -> None:
        """Stands for itself; never an error."""
        self.assertEqual(address_group("Node.Example"), "node.example")
        self.assertEqual(address_group(""), "")
        self.assertEqual(address_group("1.2.3.4.5"), "1.2.3.4.5")

    def test_loopback(self) -> None:
        """All of 127/8, IPv6's one, and what has no address; a name is not looked up."""
        for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", ""):
            self.assertTrue(is_loopback(host), host)
            self.assertTrue(is_loopback(address_group(host)), host)
        for host in ("192.0.2.1", "::2", "::ffff:192.0.2.1", "localhost"):
            self.assertFalse(is_loopback(host), host)


class AddressCountsTests(SynchronousTestCase):
    """What is open."""

    def test_per_group(self) -> None:
        """One group's bound leaves room for the others."""
        counts = AddressCounts(2, 10)
        answers = [counts.admit("a") for _ in range(3)]
        self.assertEqual(answers, [Admission.ADMITTED, Admission.ADMITTED, Admission.GROUP_FULL])
        self.assertIs(counts.admit("b"), Admission.ADMITTED)
        self.assertEqual((counts.in_group("a"), counts.in_group("b"), len(counts)), (2, 1, 3))

    def test_in_all(self) -> None:
        """Nobody comes in when it is full; what is refused is not counted."""
        counts = AddressCounts(2, 3)
        for group in ("a", "a", "b"):
            counts.admit(group)
        self.assertIs(counts.admit("c"), Admission.FULL)
        self.assertIs(counts.admit("a"), Admission.GROUP_FULL)
        self.assertEqual((len(counts), counts.in_group("c")), (3, 0))

    def test_release(self) -> None:
        """Makes room again."""
        counts = AddressCounts(1, 1)
        counts.admit("a")
        counts.release("a")
        self.assertEqual((len(counts), counts.in_group("a")), (0, 0))
        self.assertIs(counts.admit("b"), Admission.ADMITTED)

    def test_release_of_nothing(self) -> None:
        """A mistake in this program: counting on would make the bound a lie."""
        self.assertRaises(ValueError, AddressCounts(1, 1).release, "a")

    def test_no_bounds(self) -> None:
        """0 is none."""
        counts = AddressCounts(0, 0)
        self.assertEqual({counts.admit("a") for _ in range(1000)}, {Admission.ADMITTED})

    def test_asking_counts_nothing(self) -> None:
        """And adding asks for nothing."""
        counts = AddressCounts(1, 1)
        self.assertIs(counts.would_admit("a"), Admission.ADMITTED)
        self.assertEqual(len(counts), 0)
        counts.add("a")
        counts.add("b")
        self.assertEqual(len(counts), 2)
        self.assertIs(counts.would_admit("c"), Admission.FULL)

    def test_largest_group(self) -> None:
        """Who has the most."""
        counts = AddressCounts(0, 0)
        self.assertIsNone(counts.largest_group())
        for group in ("a", "b", "b", "c"):
            counts.add(group)
        self.assertEqual(counts.largest_group(), "b")

"""Who wants to hear of what."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.mailbox.watches import WatchEntry, WatchTable

NODES = [bytes([n]) * 32 for n in range(4)]
MAILBOXES = [bytes([100 + n]) * 32 for n in range(4)]


def until(seconds: float, *, bodies: bool = False) -> WatchEntry:
    return WatchEntry(bodies, seconds)


class WatchTests(SynchronousTestCase):
    """A table of soft state."""

    def test_a_watch_ends_with_its_lease(self) -> None:
        """At that second, before anybody tidies up."""
        table = WatchTable(10)
        table.add(NODES[0], MAILBOXES[0], until(100.0))
        self.assertTrue(table.watches(NODES[0], MAILBOXES[0], 99.9))
        self.assertFalse(table.watches(NODES[0], MAILBOXES[0], 100.0))
        self.assertEqual(list(table.watchers(MAILBOXES[0], 100.0)), [])
        table.expire(100.0)
        self.assertEqual(len(table), 0)

    def test_a_renewed_one_is_the_same_watch(self) -> None:
        """It takes no second place, and it may ask for bodies now."""
        table = WatchTable(1)
        table.add(NODES[0], MAILBOXES[0], until(100.0))
        self.assertTrue(table.add(NODES[0], MAILBOXES[0], until(200.0, bodies=True)))
        self.assertEqual(len(table), 1)
        ((_, entry),) = table.watchers(MAILBOXES[0], 150.0)
        self.assertTrue(entry.bodies)

    def test_a_full_table(self) -> None:
        """Says no, leaves no trace of the asker, and has room again afterwards."""
        table = WatchTable(2)
        table.add(NODES[0], MAILBOXES[0], until(9.0))
        table.add(NODES[0], MAILBOXES[1], until(9.0))
        self.assertFalse(table.add(NODES[1], MAILBOXES[0], until(9.0)))
        self.assertFalse(table.watches(NODES[1], MAILBOXES[0], 0.0))
        table.remove_node(NODES[1])
        table.remove(NODES[0], MAILBOXES[1])
        self.assertTrue(table.add(NODES[1], MAILBOXES[0], until(9.0)))

    def test_no_node_takes_all(self) -> None:
        """One that watches as much as it may hears no; the others do not."""
        table = WatchTable(4, 2)
        for mailbox in MAILBOXES[:2]:
            self.assertTrue(table.add(NODES[0], mailbox, until(9.0)))
        self.assertFalse(table.add(NODES[0], MAILBOXES[2], until(9.0)))
        self.assertTrue(table.add(NODES[0], MAILBOXES[0], until(99.0)))
        self.assertTrue(table.add(NODES[1], MAILBOXES[2], until(9.0)))
        table.remove(NODES[0], MAILBOXES[1])
        self.assertTrue(table.add(NODES[0], MAILBOXES[2], until(9.0)))

    def test_a_lost_link_takes_only_its_own_watches(self) -> None:
        """Every mailbox of that node, nobody else's."""
        table = WatchTable(10)
        for mailbox in MAILBOXES:
            table.add(NODES[0], mailbox, until(9.0))
            table.add(NODES[1], mailbox, until(9.0))
        table.remove_node(NODES[0])
        for mailbox in MAILBOXES:
            self.assertEqual([node for node, _ in table.watchers(mailbox, 0.0)], [NODES[1]])

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["add", "remove", "lose", "expire"]),
                st.sampled_from(NODES),
                st.sampled_from(MAILBOXES),
                st.integers(0, 10),
            ),
            max_size=60,
        )
    )
    def test_against_a_plain_dictionary(self, steps: list[tuple[str, bytes, bytes, int]]) -> None:
        """The count, the two indexes and the answers agree after any steps."""
        table, model = WatchTable(6), dict[tuple[bytes, bytes], int]()
        for step, node, mailbox, time in steps:
            if step == "add":
                room = (node, mailbox) in model or len(model) < 6
                self.assertEqual(table.add(node, mailbox, until(float(time))), room)
                if room:
                    model[node, mailbox] = time
            elif step == "remove":
                table.remove(node, mailbox)
                model.pop((node, mailbox), None)
            elif step == "lose":
                table.remove_node(node)
                model = {key: end for key, end in model.items() if key[0] != node}
            else:
                table.expire(float(time))
                model = {key: end for key, end in model.items() if end > time}
            self.assertEqual(len(table), len(model))
            for box in MAILBOXES:
                told = {watcher for watcher, _ in table.watchers(box, 4.0)}
                self.assertEqual(told, {n for (n, b), end in model.items() if b == box and end > 4})
        for node in NODES:
            table.remove_node(node)
        self.assertEqual((len(table), table._by_mailbox, table._by_node), (0, {}, {}))

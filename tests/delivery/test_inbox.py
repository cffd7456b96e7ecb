"""One client's window, against replicas that a test holds in its hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.delivery import inbox as inbox_module
from tace.delivery.feed import Feed
from tace.delivery.inbox import BODY_WAIT_SECONDS, FETCH_AGAIN_SECONDS, Inbox, NameRoom
from tace.errors import TimedOut, Unauthorized
from tace.ids import MessageId, NodeId
from tace.wire.fields import WaitingItem
from tace.wire.objects import Envelope
from tace.wire.peer import Arrival
from tests.letters import Box

BOX = Box()
LETTERS = [BOX.envelope(number, 0.0) for number in range(40)]
IDS = [letter.id for letter in LETTERS]
A, B, C = (bytes([n]) * 32 for n in range(3))


def invented(number: int) -> MessageId:
    return b"invented" + number.to_bytes(24)


class FakeFeed:
    """Fetches are answered by the test."""

    match = Feed.match

    def __init__(self) -> None:
        self.mailbox = BOX.id
        self.asked: list[tuple[NodeId, tuple[MessageId, ...], Deferred[tuple[bytes, ...]]]] = []
        self.sources = {A, B, C}
        self.told_again: list[NodeId] = []

    def fetch(self, node: NodeId, ids: Sequence[MessageId]) -> Deferred[tuple[bytes, ...]]:
        answer: Deferred[tuple[bytes, ...]] = Deferred()
        self.asked.append((node, tuple(ids), answer))
        return answer

    def watches(self, node: NodeId) -> bool:
        return node in self.sources

    def tell_again(self, node: NodeId, listener: object) -> None:
        self.told_again.append(node)

    def answer(self, node: NodeId, bodies: Sequence[bytes] | None = None) -> tuple[MessageId, ...]:
        """Answer the oldest open fetch from a replica: truthfully, or with these bodies."""
        at = next(i for i, (asked, _, _) in enumerate(self.asked) if asked == node)
        _, ids, answer = self.asked.pop(at)
        truth = tuple(letter.encoded for letter in LETTERS if letter.id in ids)
        answer.callback(truth if bodies is None else tuple(bodies))
        return ids

    def fail(self, node: NodeId, error: Exception) -> None:
        at = next(i for i, (asked, _, _) in enumerate(self.asked) if asked == node)
        self.asked.pop(at)[2].errback(error)


class InboxTestCase(SynchronousTestCase):
    """An inbox on a fake feed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.feed: Any = FakeFeed()
        self.pushed: list[MessageId] = []
        self.caught_up: list[bool] = []

    def inbox(self, window: int = 64, room: NameRoom | None = None) -> Inbox:
        return Inbox(
            lambda body: self.pushed.append(Envelope.parse(body).id),
            lambda mailbox, complete: self.caught_up.append(complete),
            clock=self.clock,
            window=window,
            room=room,
        )

    def list(self, inbox: Inbox, source: NodeId, ids: Sequence[MessageId]) -> None:
        inbox.waiting(self.feed, source, [WaitingItem(message, 24) for message in ids])

    def arrive(self, inbox: Inbox, source: NodeId, number: int, *, body: bool = True) -> None:
        letter = LETTERS[number]
        content = letter.encoded if body else b""
        inbox.arrived(self.feed, source, Arrival(BOX.id, letter.id, 24, content))


class WindowTests(InboxTestCase):
    """Never more than the window, whatever comes from where."""

    def test_a_fetch_that_comes_back_to_a_full_window(self) -> None:
        """Bodies have been pushed meanwhile: what was fetched waits its turn."""
        inbox = self.inbox(window=4)
        self.list(inbox, A, IDS[:4])
        for number in range(4, 8):
            self.arrive(inbox, B, number)
        self.assertEqual(self.pushed, IDS[4:8])
        self.feed.answer(A)
        self.assertEqual(self.pushed, IDS[4:8])
        inbox.release(IDS[4:6])
        self.assertEqual(self.pushed, [*IDS[4:8], *IDS[:2]])
        inbox.release([*IDS[6:8], *IDS[:2]])
        self.assertEqual(self.pushed, [*IDS[4:8], *IDS[:4]])

    def test_a_window_of_one(self) -> None:
        """One at a time, in order."""
        inbox = self.inbox(window=1)
        for number in range(5):
            self.arrive(inbox, A, number)
        for number in range(5):
            self.assertEqual(self.pushed, IDS[: number + 1])
            inbox.release([IDS[number]])
            if self.feed.asked:
                self.feed.answer(A)
            self.clock.advance(BODY_WAIT_SECONDS)
            if self.feed.asked:
                self.feed.answer(A)

    def test_a_window_that_grows(self) -> None:
        """A client may ask for more later."""
        inbox = self.inbox(window=1)
        self.arrive(inbox, A, 0)
        self.arrive(inbox, A, 1)
        inbox.window = 2
        inbox.release([])
        self.assertEqual(self.pushed, IDS[:2])

    def test_releasing_what_was_never_pushed(self) -> None:
        """It is not pushed any more; unknown ids do no harm; twice is once."""
        inbox = self.inbox(window=1)
        self.arrive(inbox, A, 0)
        self.arrive(inbox, A, 1)
        inbox.release([IDS[1], invented(1), IDS[1]])
        inbox.release([IDS[0]])
        self.arrive(inbox, B, 0)
        self.arrive(inbox, B, 1)
        self.assertEqual(self.pushed, [IDS[0]])

    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_any_order_of_anything(self, data: st.DataObject) -> None:
        """Each message once, never more than the window, all of them in the end."""
        self.setUp()
        window = data.draw(st.integers(1, 6), label="window")
        inbox = self.inbox(window)
        released: set[MessageId] = set()
        named: set[MessageId] = set()
        steps = st.sampled_from(["list", "arrive", "name", "release", "answer", "fail", "time"])
        for step in data.draw(st.lists(steps, max_size=40), label="steps"):
            source = data.draw(st.sampled_from([A, B, C]))
            number = data.draw(st.integers(0, 11))
            open_fetches = [node for node, _, _ in self.feed.asked]
            if step == "list":
                self.list(inbox, source, IDS[number : number + 5])
                named.update(IDS[number : number + 5])
            elif step in ("arrive", "name"):
                self.arrive(inbox, source, number, body=step == "arrive")
                named.add(IDS[number])
            elif step == "release" and self.pushed:
                released.add(self.pushed[number % len(self.pushed)])
                inbox.release([self.pushed[number % len(self.pushed)]])
            elif step == "answer" and open_fetches:
                self.feed.answer(open_fetches[number % len(open_fetches)])
            elif step == "fail" and open_fetches:
                self.feed.fail(open_fetches[number % len(open_fetches)], TimedOut("no answer"))
            elif step == "time":
                self.clock.advance(0.03)
            self.assertLessEqual(len(set(self.pushed) - released), window)
            self.assertEqual(len(self.pushed), len(set(self.pushed)))
        for _ in range(200):
            if set(self.pushed) == named:
                break
            while self.feed.asked:
                self.feed.answer(self.feed.asked[0][0])
            inbox.release(list(self.pushed))
            self.clock.advance(FETCH_AGAIN_SECONDS / 2)
        self.assertEqual(set(self.pushed), named)
        self.assertEqual(len(self.pushed), len(named))
        inbox.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LyingTests(InboxTestCase):
    """Replicas that name, push or bring something else."""

    def test_an_envelope_under_another_id(self) -> None:
        """Only the id counts; the body is fetched."""
        inbox = self.inbox()
        lie = Arrival(BOX.id, IDS[0], 24, LETTERS[1].encoded)
        inbox.arrived(self.feed, A, lie)
        self.assertEqual(self.pushed, [])
        self.clock.advance(BODY_WAIT_SECONDS)
        self.feed.answer(A)
        self.assertEqual(self.pushed, [IDS[0]])

    def test_an_envelope_of_another_mailbox(self) -> None:
        """Never reaches the client, pushed or fetched."""
        inbox = self.inbox()
        stray = Box("other").envelope(1, 0.0)
        inbox.arrived(self.feed, A, Arrival(BOX.id, stray.id, 24, stray.encoded))
        self.clock.advance(BODY_WAIT_SECONDS)
        self.feed.answer(A, [stray.encoded])
        self.assertEqual(self.pushed, [])

    def test_fetches_answered_with_something_else(self) -> None:
        """Garbage and what was not asked for is dropped; another replica is asked."""
        inbox = self.inbox()
        self.list(inbox, A, IDS[:2])
        self.list(inbox, B, IDS[:2])
        self.feed.answer(A, [LETTERS[5].encoded, b"garbage", bytes(3630)])
        self.feed.answer(B)
        self.assertEqual(sorted(self.pushed), sorted(IDS[:2]))

    def test_ids_that_do_not_exist(self) -> None:
        """Are asked for once, and hold up nothing that another replica names."""
        inbox = self.inbox(window=4)
        inbox.begin(BOX.id)
        self.list(inbox, A, [invented(number) for number in range(100)])
        self.list(inbox, B, IDS[:4])
        inbox.listed(self.feed, True)
        self.feed.answer(B)
        self.assertEqual(self.pushed, IDS[:4])
        inbox.release(IDS[:4])
        rounds = 0
        while self.feed.asked:
            self.feed.answer(A, [])
            rounds += 1
        self.assertEqual(rounds, 25)
        self.assertEqual(self.caught_up, [True])

    def test_a_slow_replica_holds_up_only_itself(self) -> None:
        """One fetch at a time from each; the others go on."""
        inbox = self.inbox()
        self.list(inbox, A, IDS[:1])
        self.list(inbox, B, IDS[1:40])
        while any(node == B for node, _, _ in self.feed.asked):
            self.feed.answer(B)
        self.assertEqual(self.pushed, IDS[1:40])
        self.feed.answer(A)
        self.assertEqual(self.pushed, [*IDS[1:40], IDS[0]])

    def test_more_than_is_remembered_of_one_replica(self) -> None:
        """The rest is listed again when there is room; others have room of their own."""
        self.patch(inbox_module, "MAX_NAMED", 8)
        inbox = self.inbox()
        inbox.begin(BOX.id)
        self.list(inbox, A, [invented(number) for number in range(1000)])
        self.assertEqual(len(inbox._queue), 8)
        self.list(inbox, B, IDS[:2])
        self.assertEqual(len(inbox._queue), 10)
        inbox.listed(self.feed, True)
        while self.feed.asked:
            self.feed.answer(self.feed.asked[0][0], None)
        self.assertEqual(self.pushed, IDS[:2])
        self.assertEqual(self.feed.told_again, [A])
        self.assertEqual(self.caught_up, [False])


class RoomTests(InboxTestCase):
    """What all clients of a node may have remembered for them."""

    def test_many_clients_that_never_ack(self) -> None:
        """They share a bound; beyond it each has as many names as its window holds."""
        room = NameRoom(100)
        greedy = [self.inbox(4, room) for _ in range(10)]
        for inbox in greedy:
            self.list(inbox, A, [invented(number) for number in range(1000)])
        self.assertEqual(len(greedy[0]._queue), 100)
        self.assertEqual({len(inbox._queue) for inbox in greedy[1:]}, {4})
        self.assertEqual(room.held, 100 + 9 * 4)
        for inbox in greedy:
            inbox.close()
        self.assertEqual(room.held, 0)

    def test_an_honest_client_among_them(self) -> None:
        """Gets all that waits for it, so many at a time, and has it listed again."""
        room = NameRoom(0)
        inbox = self.inbox(4, room)
        inbox.begin(BOX.id)
        self.list(inbox, A, IDS)
        inbox.listed(self.feed, True)
        while len(self.pushed) < len(IDS):
            before = len(self.pushed)
            while self.feed.asked:
                self.feed.answer(self.feed.asked[0][0])
            if self.feed.told_again:
                self.feed.told_again.clear()
                self.list(inbox, A, IDS)
            inbox.release(self.pushed[-4:])
            self.assertLessEqual(room.held, 4)
            self.assertTrue(len(self.pushed) > before or self.feed.asked or self.feed.told_again)
        self.assertEqual(sorted(self.pushed), sorted(IDS))
        self.assertEqual(room.held, 0)

    def test_a_client_that_never_acks(self) -> None:
        """Is pushed its window; of the rest, bodies are kept for a window, names for so many."""
        inbox = self.inbox(8)
        for number in range(len(LETTERS)):
            self.arrive(inbox, A, number)
        self.assertEqual(len(self.pushed), 8)
        self.assertEqual(sum(1 for queued in inbox._queue.values() if queued.body), 8)
        self.assertEqual(len(inbox._queue), len(LETTERS) - 8)


class FailingTests(InboxTestCase):
    """Replicas that give no answer."""

    def test_the_only_replica_that_has_it_is_asked_again(self) -> None:
        """A timeout loses nothing."""
        inbox = self.inbox()
        self.list(inbox, A, IDS[:3])
        for error in (TimedOut("slow"), Unauthorized("not yet")):
            self.feed.fail(A, error)
            self.assertEqual(self.feed.asked, [])
            self.clock.advance(FETCH_AGAIN_SECONDS)
        self.feed.answer(A)
        self.assertEqual(self.pushed, IDS[:3])

    def test_another_replica_is_asked_first(self) -> None:
        """At once."""
        inbox = self.inbox()
        self.list(inbox, A, IDS[:3])
        self.list(inbox, B, IDS[:3])
        self.feed.fail(A, TimedOut("slow"))
        self.feed.answer(B)
        self.assertEqual(self.pushed, IDS[:3])

    def test_what_only_a_replica_that_has_gone_named(self) -> None:
        """Is forgotten: when it comes back it lists everything anew."""
        inbox = self.inbox()
        inbox.begin(BOX.id)
        self.list(inbox, A, IDS[:3])
        inbox.listed(self.feed, True)
        self.feed.sources.discard(A)
        self.feed.fail(A, TimedOut("gone"))
        self.assertEqual(inbox._queue, {})
        self.assertEqual(len(self.caught_up), 1)
        self.list(inbox, A, IDS[:3])
        self.feed.answer(A)
        self.assertEqual(self.pushed, IDS[:3])

    def test_a_replica_that_never_answers_does_not_keep_the_start_waiting(self) -> None:
        """``caught up`` comes, and says that it may not be all."""
        inbox = self.inbox()
        inbox.begin(BOX.id)
        self.list(inbox, A, [invented(number) for number in range(50)])
        self.list(inbox, B, IDS[:2])
        inbox.listed(self.feed, True)
        self.feed.answer(B)
        self.assertEqual(self.caught_up, [])
        self.feed.fail(A, TimedOut("never"))
        self.assertEqual(self.caught_up, [False])


class StartTests(InboxTestCase):
    """When a client has caught up."""

    def test_after_the_last_one_that_waited_has_been_pushed(self) -> None:
        """Not before the listing ends, not before the window lets it out."""
        inbox = self.inbox(window=2)
        inbox.begin(BOX.id)
        self.list(inbox, A, IDS[:3])
        self.feed.answer(A)
        inbox.listed(self.feed, True)
        self.assertEqual((self.pushed, self.caught_up), (IDS[:2], []))
        inbox.release(IDS[:1])
        self.feed.answer(A)
        self.assertEqual((self.pushed, self.caught_up), (IDS[:3], [True]))

    def test_acked_elsewhere_meanwhile(self) -> None:
        """What nobody has any more is not waited for."""
        inbox = self.inbox()
        inbox.begin(BOX.id)
        self.list(inbox, A, IDS[:1])
        inbox.listed(self.feed, True)
        self.feed.answer(A, [])
        self.assertEqual((self.pushed, self.caught_up), ([], [True]))

    def test_an_empty_mailbox(self) -> None:
        """Says so as soon as the listing has ended."""
        inbox = self.inbox()
        inbox.begin(BOX.id)
        inbox.listed(self.feed, True)
        self.assertEqual(self.caught_up, [True])


class CloseTests(InboxTestCase):
    """The client is gone."""

    def test_in_the_middle_of_everything(self) -> None:
        """Nothing is pushed, remembered or timed any more."""
        inbox = self.inbox(window=2)
        inbox.begin(BOX.id)
        self.list(inbox, A, IDS[:5])
        self.arrive(inbox, B, 6, body=False)
        inbox.close()
        self.feed.answer(A)
        self.arrive(inbox, A, 7)
        self.list(inbox, B, IDS[8:12])
        inbox.listed(self.feed, True)
        inbox.release(IDS[:2])
        self.clock.advance(10)
        self.assertEqual((self.pushed, self.caught_up, self.feed.asked), ([], [], []))
        self.assertEqual((inbox._queue, inbox._named, inbox._ready), ({}, {}, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LateBodyTests(InboxTestCase):
    """Ids come from one replica, bodies later from another (a busy disk)."""

    def setUp(self) -> None:
        super().setUp()
        self.window = self.inbox()
        self.fetched = 0

    def come(self, number: int, seconds_apart: float) -> bool:
        """One message: the word, then the body. True when it had to be fetched."""
        letter = LETTERS[number]
        word = Arrival(BOX.id, letter.id, letter.expires_hours)
        self.window.arrived(self.feed, A, word)
        self.clock.advance(seconds_apart)
        fetched = bool(self.feed.asked)
        if fetched:
            self.feed.answer(A)
        whole = Arrival(BOX.id, letter.id, letter.expires_hours, letter.encoded)
        self.window.arrived(self.feed, B, whole)
        self.window.release([letter.id])
        return fetched

    def test_waited_for_once_it_is_known_how_late_they_are(self) -> None:
        fetched = [self.come(number, 0.2) for number in range(10)]
        self.assertEqual(fetched, [True] + [False] * 9)
        self.assertEqual(self.pushed, IDS[:10])

    def test_fetched_soon_again_when_they_have_been_quick(self) -> None:
        for number in range(38):
            self.come(number, 0.2 if number == 0 else 0.0)
        self.assertTrue(self.come(38, BODY_WAIT_SECONDS))

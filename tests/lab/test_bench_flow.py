"""When a flow lets its letters go."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tace.lab.bench.flow import Flow
from tace.lab.bench.letters import Letter
from tace.wire.fields import TombstoneField


def letters(count: int) -> list[Letter]:
    """They are only counted."""
    tombstone = TombstoneField(bytes(32), bytes(84))
    return [Letter(bytes([number]), b"", tombstone) for number in range(count)]


class FakeSender:
    """Notes what leaves, and when it was meant to."""

    def __init__(self, clock: Clock) -> None:
        self.room = 64
        self.lost = False
        self.sent: list[tuple[int, float, float]] = []
        self._clock = clock

    def send(self, letter: Letter, intended: float) -> None:
        self.room -= 1
        self.sent.append((letter.lock[0], intended, self._clock.seconds()))


class FlowCase(SynchronousTestCase):
    """A flow of ten letters."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sender = FakeSender(self.clock)
        self.flow = Flow(letters(10), self.sender, self.clock, self.clock.seconds)

    def answer(self, over: bool) -> None:
        self.sender.room += 1
        self.flow.answered(over)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _, _ in self.sender.sent]


class Closed(FlowCase):
    """So many in flight."""

    def test_next_one_when_one_is_over(self) -> None:
        """Stored alone is not over; pushed after that is, and so is a refusal."""
        self.flow.keep_in_flight(2, 100.0)
        self.assertEqual(self.numbers, [0, 1])
        self.answer(over=False)
        self.assertEqual(self.numbers, [0, 1])
        self.clock.advance(1)
        self.flow.freed()
        self.answer(over=True)
        self.assertEqual(self.numbers, [0, 1, 2, 3])
        self.assertEqual(self.sender.sent[-1][1:], (1.0, 1.0))

    def test_end(self) -> None:
        """Nothing leaves from then on, and nothing is owed."""
        self.flow.keep_in_flight(2, 1.0)
        self.clock.advance(1)
        self.answer(over=True)
        self.assertEqual(self.numbers, [0, 1])
        self.assertEqual(self.flow.unsent, 0)

    def test_connection_lost(self) -> None:
        """It does not go round and round with what fails at once."""
        self.flow.keep_in_flight(2, 100.0)
        self.sender.lost = True
        self.answer(over=True)
        self.assertEqual(self.numbers, [0, 1])

    def test_too_few_letters(self) -> None:
        """It says that it ran out."""
        self.flow.keep_in_flight(9, 100.0)
        self.assertFalse(self.flow.exhausted)
        self.answer(over=True)
        self.assertTrue(self.flow.exhausted)
        self.answer(over=True)
        self.assertEqual(len(self.numbers), 10)


class Open(FlowCase):
    """At fixed times."""

    def test_times(self) -> None:
        """Each at its own, whatever comes of those before."""
        self.flow.send_every(0.5, 1.0, 3)
        for _ in range(30):
            self.clock.advance(0.1)
        self.assertEqual([intended for _, intended, _ in self.sender.sent], [1.0, 1.5, 2.0])
        for _, intended, left in self.sender.sent:
            self.assertApproximates(left, intended, 0.11)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_node_takes_no_more(self) -> None:
        """What is due waits and leaves after the end; it is as late as it is."""
        self.sender.room = 1
        self.flow.send_every(0.5, 0.0, 4)
        self.clock.pump([0.5] * 6)
        self.assertEqual(self.numbers, [0])
        self.assertEqual(self.flow.unsent, 3)
        for _ in range(4):
            self.answer(over=False)
        self.assertEqual(
            self.sender.sent, [(0, 0.0, 0.0), (1, 0.5, 3.0), (2, 1.0, 3.0), (3, 1.5, 3.0)]
        )
        self.assertEqual(self.flow.unsent, 0)

    def test_generator_was_late(self) -> None:
        """All that should have left meanwhile leaves at once, as late as it is."""
        self.flow.send_every(0.1, 0.0, 1000)
        self.clock.advance(0.35)
        self.assertEqual(self.numbers, [0, 1, 2, 3])
        self.assertAlmostEqual(self.sender.sent[1][1], 0.1)


class Warm(FlowCase):
    """A few before the clock starts."""

    def test_few(self) -> None:
        """They make no others leave; what follows starts from none in flight."""
        self.flow.send_few(3)
        for _ in range(3):
            self.answer(over=True)
        self.assertEqual(self.numbers, [0, 1, 2])
        self.flow.keep_in_flight(2, 100.0)
        self.assertEqual(self.numbers, [0, 1, 2, 3, 4])

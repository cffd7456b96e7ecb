"""Two devices over a network that does everything a network can, and disks that go back in time.

A Hypothesis state machine against a model that knows what each delivery has to give.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from tace.e2ee import ratchet, symmetric
from tace.e2ee.inner import Inner
from tace.e2ee.session import (
    MAX_ENDED,
    MAX_SESSIONS,
    Duplicate,
    Opened,
    Pair,
    Undecryptable,
    receive,
)
from tace.errors import Malformed
from tests.e2ee.people import Person

MAX_IN_FLIGHT = 40
SIDES = st.sampled_from([0, 1])
ANY = st.integers(0, 1 << 30)


@dataclass(frozen=True)
class Sent:
    """A message on its way, and what the model has to know of it."""

    sender: int
    inner: bytes
    text: bytes
    session: bytes


@dataclass(frozen=True)
class Saved:
    """A copy of one side's disk: its sessions, and what it had opened by then."""

    pair: bytes
    opened: frozenset[bytes]


class Conversation(RuleBasedStateMachine):
    """What the model says of a delivery:

    - opened before, as far as this disk knows: a duplicate;
    - of a session that no disk went back under: opens if the recipient has the session or the
      message carries its start, else cannot be read;
    - of a session that a disk went back under: opens rightly or cannot be read.
    """

    people: tuple[Person, Person]

    def __init__(self) -> None:
        super().__init__()
        self.flight: list[Sent] = []
        self.passed: list[Sent] = []
        self.opened: list[frozenset[bytes]] = [frozenset(), frozenset()]
        self.saved: list[Saved | None] = [None, None]
        self.rolled_back: set[bytes] = set()
        self.texts = 0

    @initialize(seed=ANY)
    def meet(self, seed: int) -> None:
        for side, person in enumerate(self.people):
            person.pairs.clear()
            person.random_bytes = Random(seed * 2 + side).randbytes

    def pair(self, side: int) -> Pair:
        return self.people[side].pair(self.people[1 - side])

    def put(self, side: int, pair: bytes) -> None:
        other = self.people[1 - side].own.id
        self.people[side].pairs[other] = Pair.from_bytes(pair)

    # -- what the two do -------------------------------------------------------------------------

    @rule(side=SIDES, fresh=st.booleans())
    def start(self, side: int, fresh: bool) -> None:
        """Both may do so at any time, also at once."""
        self.people[side].start(self.people[1 - side], fresh=fresh)

    @precondition(lambda self: len(self.flight) < MAX_IN_FLIGHT)
    @rule(side=SIDES, count=st.integers(1, 6))
    def send(self, side: int, count: int) -> None:
        person, other = self.people[side], self.people[1 - side]
        if self.pair(side).needs_start(person.now):
            person.start(other)
        for _ in range(count):
            self.texts += 1
            text = b"text %d" % self.texts
            active = self.pair(side).active
            assert active is not None
            self.flight.append(Sent(side, person.send(other, text), text, active.id))

    # -- what the network does -------------------------------------------------------------------

    @precondition(lambda self: self.flight)
    @rule(which=ANY)
    def deliver(self, which: int) -> None:
        """In whatever order."""
        sent = self.flight.pop(which % len(self.flight))
        self.passed.append(sent)
        self.arrive(sent)

    @precondition(lambda self: self.flight)
    @rule()
    def deliver_all(self) -> None:
        while self.flight:
            self.deliver(0)

    @precondition(lambda self: self.flight)
    @rule(which=ANY)
    def lose(self, which: int) -> None:
        self.flight.pop(which % len(self.flight))

    @precondition(lambda self: self.passed)
    @rule(which=ANY)
    def deliver_again(self, which: int) -> None:
        self.arrive(self.passed[which % len(self.passed)])

    @precondition(lambda self: self.flight)
    @rule(which=ANY, where=ANY, bit=st.integers(0, 7))
    def tamper(self, which: int, where: int, bit: int) -> None:
        """Nothing opens, and nothing changes."""
        sent = self.flight[which % len(self.flight)]
        changed = bytearray(sent.inner)
        changed[where % len(changed)] ^= 1 << bit
        side = 1 - sent.sender
        before = self.pair(side).to_bytes()
        try:
            outcome = self.people[side].receive(self.people[sent.sender], bytes(changed))
        except (Malformed, ValueError):
            pass  # of no known type, or it claims to come from somebody else
        else:
            assert isinstance(outcome, Undecryptable), outcome
        assert self.pair(side).to_bytes() == before

    # -- what disks do ---------------------------------------------------------------------------

    @rule(side=SIDES)
    def restart(self, side: int) -> None:
        self.put(side, self.pair(side).to_bytes())

    @rule(side=SIDES)
    def save(self, side: int) -> None:
        self.saved[side] = Saved(self.pair(side).to_bytes(), self.opened[side])

    @precondition(lambda self: any(self.saved))
    @rule(side=SIDES)
    def roll_back(self, side: int) -> None:
        saved = self.saved[side]
        if saved is None:
            return
        now, then = self.pair(side), Pair.from_bytes(saved.pair)
        for pair in (now, then):
            self.rolled_back.update(session.id for session in pair.sessions)
            self.rolled_back.update(
                pair.ended[at : at + 16] for at in range(0, len(pair.ended), 16)
            )
        self.put(side, saved.pair)
        self.opened[side] = saved.opened

    # -- what has to come of it ------------------------------------------------------------------

    def arrive(self, sent: Sent) -> None:
        side = 1 - sent.sender
        before = self.pair(side)
        outcome = self.people[side].receive(self.people[sent.sender], sent.inner)
        if sent.inner in self.opened[side]:
            assert outcome == Duplicate(), outcome
        elif sent.session in self.rolled_back:
            assert isinstance(outcome, Opened | Undecryptable), outcome
        elif self.reachable(before, sent):
            assert isinstance(outcome, Opened), outcome
        else:
            assert isinstance(outcome, Undecryptable), outcome
        if isinstance(outcome, Opened):
            assert (outcome.content, outcome.session) == (sent.text, sent.session)
            self.opened[side] |= {sent.inner}
            self.forgot_the_key(side, sent)
        else:
            assert self.pair(side) is before or not before.sessions

    def forgot_the_key(self, side: int, sent: Sent) -> None:
        """It does not open again even where the memory of duplicates is lost."""
        person = self.people[side]
        pair = msgspec.structs.replace(self.pair(side), consumed=b"")
        again = receive(
            pair,
            person.own,
            person.prekeys,
            Inner.parse(sent.inner),
            person.random_bytes,
            now=person.now,
        )
        assert isinstance(again, Undecryptable), again

    @staticmethod
    def reachable(pair: Pair, sent: Sent) -> bool:
        if any(session.id == sent.session for session in pair.sessions):
            return True
        ended = {pair.ended[at : at + 16] for at in range(0, len(pair.ended), 16)}
        return bool(Inner.parse(sent.inner).handshake) and sent.session not in ended

    @invariant()
    def bounded(self) -> None:
        for side in (0, 1):
            pair = self.pair(side)
            assert len(pair.sessions) <= MAX_SESSIONS
            assert len(pair.ended) <= MAX_ENDED * 16
            assert not pair.sessions or pair.active is not None


class ModelTests(SynchronousTestCase):
    def test_conversations(self) -> None:
        """Lost, reordered, repeated, changed, restarted, rolled back, started at once: every
        message opens exactly once, or cannot be read only where the model says so; what was
        changed changes nothing; no pair of key and nonce is used twice."""
        used: set[tuple[bytes, bytes]] = set()
        most_used = 0
        aead_seal = symmetric.aead_seal

        def seal(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> bytes:
            assert (key, nonce) not in used, "a key and nonce pair is used twice"
            nonlocal most_used
            used.add((key, nonce))
            most_used = max(most_used, len(used))
            return aead_seal(key, nonce, plaintext, associated_data)

        self.patch(ratchet, "aead_seal", seal)
        people = Person("ann"), Person("ben")

        class Machine(Conversation):
            def __init__(self) -> None:
                super().__init__()
                # The same seeds may come again, and with them the same keys: another world.
                used.clear()
                self.people = people

        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=500, stateful_step_count=80, deadline=None, derandomize=True
            ),
        )
        # Of the longest conversation: the last one may have ended before anything was said.
        self.assertGreater(most_used, 10)

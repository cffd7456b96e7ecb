"""Polled sessions, over whole nodes in memory and a clock."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import DrainingNow, TooMany
from tace.gateway import session as session_module
from tace.gateway.polling import (
    EXCHANGE_SECONDS,
    IDLE_SECONDS,
    MAX_BATCH_BYTES,
    MAX_EXCHANGES,
    MAX_LATE_BYTES,
    POLL_SECONDS,
    BadExchange,
    BadPoll,
    PollingSession,
    UnknownSession,
)
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.sessions import ClientSessions
from tace.gateway.waiting import Messages
from tace.wire.client import (
    Ack,
    AckAnswer,
    CaughtUp,
    Challenge,
    ClientDone,
    ClientPing,
    ClientPong,
    ClientRefused,
    Defer,
    GetStatus,
    OpenLease,
    Push,
    Send,
    SendAnswer,
    StartWatch,
    StatusInfo,
    encode_client_message,
)
from tace.wire.message import Message
from tests.gateway.in_memory import decode, services
from tests.letters import Box
from tests.network import MemoryNetwork

M = TypeVar("M", bound=Message)


class PollingTestCase(SynchronousTestCase):
    """Three nodes; sessions are polled at the first."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1, **{"ring.replicas": 3})
        self.nodes = self.network.ring(3)
        self.sessions = ClientSessions(services(self.network, self.nodes[0]), 8)
        self.polling = PollingSessions(self.sessions, self.network.clock)

    def open(self) -> tuple[PollingSession, Challenge]:
        token, (first,) = self.polling.open()
        request, challenge = decode(first)
        assert isinstance(challenge, Challenge)
        self.assertEqual(request, 0)
        return self.polling.find(token), challenge

    def exchange(self, session: PollingSession, *messages: Message) -> list[tuple[int, Message]]:
        """The answers to these requests, which get the ids 1, 2 ..."""
        encoded = [
            encode_client_message(message, 0 if isinstance(message, Defer) else number)
            for number, message in enumerate(messages, 1)
        ]
        answers: Messages = self.network.result(session.exchange(encoded), EXCHANGE_SECONDS + 1)
        return [decode(answer) for answer in answers]

    def exchanged(self, session: PollingSession, message: Message, cls: type[M]) -> M:
        """The one answer to one request."""
        ((request, answer),) = self.exchange(session, message)
        self.assertEqual(request, 1)
        assert isinstance(answer, cls), answer
        return answer

    def polled(self, session: PollingSession, number: int) -> list[Message]:
        batch: Messages = self.network.result(session.poll(number), POLL_SECONDS + 1)
        return [decode(message)[1] for message in batch]

    def lease(self, box: Box, challenge: Challenge) -> OpenLease:
        return OpenLease(
            box.lease(
                network_id=challenge.network_id,
                node=challenge.node_id,
                origin=challenge.names[0],
                challenge=challenge.challenge,
                now=self.network.clock.seconds(),
            )
        )


class ExchangeTests(PollingTestCase):
    """Requests in, answers out."""

    def test_answers_to_several(self) -> None:
        """All of them, each with its id; a poll is not needed."""
        session, _ = self.open()
        answers = dict(self.exchange(session, ClientPing(), GetStatus(), ClientPing()))
        self.assertEqual(set(answers), {1, 2, 3})
        self.assertIsInstance(answers[1], ClientPong)
        self.assertIsInstance(answers[2], StatusInfo)

    def test_a_letter_sent_and_received(self) -> None:
        """One session sends; another one watches, polls it, acks it, and it is gone."""
        box = Box()
        letter = box.envelope(1, self.network.clock.seconds())
        sender, _ = self.open()
        sent = self.exchanged(sender, Send((letter.encoded,)), SendAnswer)
        self.assertEqual(sent.results[0].state, "stored")
        reader, challenge = self.open()
        self.exchanged(reader, self.lease(box, challenge), ClientDone)
        self.exchanged(reader, StartWatch((box.id,), 64), ClientDone)
        self.assertEqual(self.polled(reader, 1), [Push(letter.encoded)])
        self.assertEqual(self.polled(reader, 2), [CaughtUp(box.id, True)])
        acked = self.exchanged(reader, Ack((box.tombstone(letter, 1),)), AckAnswer)
        self.assertEqual(acked.results[0].code, "stored")
        waiting = reader.poll(3)
        later = box.envelope(2, self.network.clock.seconds())
        self.exchanged(sender, Send((later.encoded,)), SendAnswer)
        batch: Messages = self.network.result(waiting, 1.0)
        self.assertEqual([decode(message)[1] for message in batch], [Push(later.encoded)])

    def test_only_what_has_no_answer(self) -> None:
        """A defer is answered with nothing, at once."""
        session, _ = self.open()
        self.assertEqual(self.successResultOf(session.exchange([_defer()])), [])

    def test_an_answer_that_comes_late(self) -> None:
        """The exchange ends after twelve seconds without it; a poll brings it."""
        session, _ = self.open()
        stuck: Deferred[Message] = Deferred()
        self.patch(self.nodes[0].core.sizes, "get", lambda: stuck)
        messages = [encode_client_message(GetStatus(), 1), encode_client_message(ClientPing(), 2)]
        answered = session.exchange(messages)
        self.network.run(EXCHANGE_SECONDS - 0.1)
        self.assertNoResult(answered)
        self.network.run(0.2)
        self.assertEqual([decode(m)[0] for m in self.successResultOf(answered)], [2])
        waiting = session.poll(1)
        stuck.errback(DrainingNow("late"))
        self.network.run(0)
        ((request, late),) = [decode(m) for m in self.successResultOf(waiting)]
        self.assertEqual(request, 1)
        assert isinstance(late, ClientRefused)
        self.assertEqual(late.code, "draining")

    def test_the_same_requests_again(self) -> None:
        """A client that thinks the first lost gets the answer where it asked last."""
        session, _ = self.open()
        stuck: list[Deferred[Message]] = [Deferred(), Deferred()]
        answers = iter(stuck)
        self.patch(self.nodes[0].core.sizes, "get", lambda: next(answers))
        body = [encode_client_message(GetStatus(), 1)]
        first, second = session.exchange(body), session.exchange(body)
        self.assertEqual(self.successResultOf(first), [])
        stuck[0].errback(DrainingNow("the first"))
        self.assertEqual(len(self.successResultOf(second)), 1)
        stuck[1].errback(DrainingNow("the second"))
        self.assertEqual(len(self.successResultOf(session.poll(1))), 1)

    def test_a_client_that_is_gone(self) -> None:
        """Nothing waits for it; what is answered then can be polled."""
        session, _ = self.open()
        stuck: Deferred[Message] = Deferred()
        self.patch(self.nodes[0].core.sizes, "get", lambda: stuck)
        answered = session.exchange([encode_client_message(GetStatus(), 1)])
        answered.cancel()
        self.failureResultOf(answered, CancelledError)
        stuck.errback(DrainingNow("late"))
        self.assertEqual(len(self.successResultOf(session.poll(1))), 1)

    def test_what_breaks_the_protocol(self) -> None:
        """The last word comes with the exchange, and once more by poll; then there is nothing."""
        session, _ = self.open()
        error = self.assertRaises(BadExchange, session.exchange, [_pong()])
        _, word = decode(error.last_word)
        assert isinstance(word, ClientRefused)
        self.assertEqual(word.code, "protocol-error")
        self.assertRaises(UnknownSession, session.exchange, [_ping(1)])
        self.assertEqual(self.successResultOf(session.poll(1)), [error.last_word])
        self.assertEqual(self.successResultOf(session.poll(1)), [error.last_word])
        self.assertEqual((len(self.sessions), len(self.polling)), (1, 1))
        self.assertRaises(UnknownSession, session.poll, 2)
        self.assertEqual((len(self.sessions), len(self.polling)), (0, 0))
        self.assertFalse(session._idle.active())


class BoundsTests(PollingTestCase):
    """What a client that does not come for its answers can make the node keep."""

    def test_answers_beyond_the_bound_are_refusals(self) -> None:
        """Late answers are kept up to a limit, then only a word for each, then nothing is asked."""
        session, _ = self.open()
        size = 60_000
        for request in range(1, 41):
            session.send(bytes(2) + request.to_bytes(4, "big") + bytes(size))
        kept = list(session._waiting)
        self.assertLessEqual(sum(map(len, kept)), MAX_LATE_BYTES + 40 * 100)
        self.assertEqual(decode(kept[-1])[1].__class__, ClientRefused)
        for request in range(41, 65):
            session.send(bytes(2) + request.to_bytes(4, "big") + bytes(size))
        ((_, refused),) = self.exchange(session, ClientPing())
        assert isinstance(refused, ClientRefused)
        self.assertEqual(refused.code, "too-many")
        self.successResultOf(session.poll(1))
        self.assertIsInstance(self.exchange(session, ClientPing())[0][1], ClientPong)

    def test_an_exchange_stops_taking_in(self) -> None:
        """When its answers are as large as a batch: the rest is refused, and can be asked again."""
        session, _ = self.open()

        def large(data: bytes) -> None:
            session.send(data[:6] + bytes(60_000))

        self.patch(session.session, "received", large)
        answers = self.successResultOf(session.exchange([_ping(n) for n in range(1, 65)]))
        self.assertEqual(len(answers), 64)
        self.assertLess(sum(map(len, answers)), MAX_BATCH_BYTES + 60_006 + 64 * 100)
        _, last = decode(answers[-1])
        assert isinstance(last, ClientRefused)
        self.assertEqual(last.code, "too-many")

    def test_batches(self) -> None:
        """A poll brings so many bytes and one message more; the next one the rest."""
        session, _ = self.open()
        for _ in range(10):
            session.send(bytes(6) + bytes(60_000))
        first = self.successResultOf(session.poll(1))
        second = self.successResultOf(session.poll(2))
        self.assertEqual((len(first), len(second)), (5, 5))

    def test_exchanges_under_way(self) -> None:
        """So many wait for their answers; the next one is refused, and nothing of it is done."""
        session, _ = self.open()
        held = [Deferred[None]() for _ in range(MAX_EXCHANGES + 1)]
        waiting = iter(held)

        async def slow(_: object, message: object) -> ClientPong:
            await next(waiting)
            return ClientPong(1)

        self.patch(session_module, "_COMMANDS", {ClientPing: slow})
        limits = replace(self.sessions.services.limits, requests_in_flight=64)
        session.session._services = replace(self.sessions.services, limits=limits)
        under_way = [session.exchange([_ping(n)]) for n in range(1, MAX_EXCHANGES + 1)]
        self.assertRaises(TooMany, session.exchange, [_ping(99)])
        held[0].callback(None)
        self.assertEqual(len(self.successResultOf(under_way[0])), 1)
        session.exchange([_ping(99)])

    def test_half_the_room(self) -> None:
        """Polled sessions take no more than that; a session that goes makes room."""
        opened = [self.open()[0] for _ in range(4)]
        self.assertRaises(TooMany, self.polling.open)
        self.sessions.require_room("")
        opened[0].discard()
        self.open()

    def test_no_room_at_all(self) -> None:
        """Other clients count as well."""
        for _ in range(8):
            self.sessions.add(_Elsewhere())
        self.assertRaises(TooMany, self.polling.open)


class PollTests(PollingTestCase):
    """Waiting, asking again, letting go."""

    def test_nothing_comes(self) -> None:
        """An empty batch after 25 seconds; it has its number too."""
        session, _ = self.open()
        waiting = session.poll(1)
        self.network.run(POLL_SECONDS - 0.1)
        self.assertNoResult(waiting)
        self.network.run(0.2)
        self.assertEqual(self.successResultOf(waiting), [])
        session.send(_ping(0))
        self.assertEqual(self.successResultOf(session.poll(1)), [])
        self.assertEqual(self.successResultOf(session.poll(2)), [_ping(0)])

    def test_a_lost_answer(self) -> None:
        """The same number brings the same bytes, as often as it is asked for."""
        session, _ = self.open()
        session.send(_ping(0))
        first = self.successResultOf(session.poll(1))
        session.send(_ping(7))
        self.assertEqual(self.successResultOf(session.poll(1)), first)
        self.assertEqual(self.successResultOf(session.poll(1)), [_ping(0)])
        self.assertEqual(self.successResultOf(session.poll(2)), [_ping(7)])

    def test_out_of_turn(self) -> None:
        """Refused, and the session goes on."""
        session, _ = self.open()
        for number in (0, 2, 3):
            self.assertRaises(BadPoll, session.poll, number)
        session.send(_ping(0))
        self.successResultOf(session.poll(1))
        session.send(_ping(0))
        self.successResultOf(session.poll(2))
        self.assertRaises(BadPoll, session.poll, 1)
        self.assertIsInstance(self.exchange(session, ClientPing())[0][1], ClientPong)

    def test_a_newer_poll(self) -> None:
        """Ends the older one with nothing, and gets what comes."""
        session, _ = self.open()
        older, newer = session.poll(1), session.poll(1)
        self.assertEqual(self.successResultOf(older), [])
        session.send(_ping(0))
        self.network.run(0)
        self.assertEqual(self.successResultOf(newer), [_ping(0)])

    def test_what_comes_together_leaves_together(self) -> None:
        """One batch for one turn of the reactor."""
        session, _ = self.open()
        waiting = session.poll(1)
        for number in (1, 2, 3):
            session.send(_ping(number))
        self.assertNoResult(waiting)
        self.network.run(0)
        self.assertEqual(self.successResultOf(waiting), [_ping(1), _ping(2), _ping(3)])

    def test_a_client_that_is_gone(self) -> None:
        """Nothing was handed out: the next poll of that number gets it."""
        session, _ = self.open()
        waiting = session.poll(1)
        session.send(_ping(0))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.run(0)
        self.assertEqual(self.successResultOf(session.poll(1)), [_ping(0)])


class EndTests(PollingTestCase):
    """How sessions end, and that nothing of them stays."""

    def test_silence(self) -> None:
        """A minute without a request; a poll that waits is one."""
        session, _ = self.open()
        for number in range(1, 4):
            self.polled(session, number)
        self.network.run(IDLE_SECONDS - POLL_SECONDS - 2)
        self.assertEqual(len(self.polling), 1)
        self.network.run(POLL_SECONDS)
        self.assertEqual((len(self.polling), len(self.sessions)), (0, 0))
        self.assertRaises(UnknownSession, session.exchange, [_ping(1)])
        self.assertRaises(UnknownSession, session.poll, 4)

    def test_the_client_ends_it(self) -> None:
        """What waits is answered, what is held is let go of; the token opens nothing."""
        token, _ = self.polling.open()
        session = self.polling.find(token)
        stuck: Deferred[Message] = Deferred()
        self.patch(self.nodes[0].core.sizes, "get", lambda: stuck)
        asked, waiting = session.exchange([encode_client_message(GetStatus(), 1)]), session.poll(1)
        session.discard()
        self.assertEqual(self.successResultOf(asked), [])
        self.assertEqual(self.successResultOf(waiting), [])
        self.assertRaises(UnknownSession, self.polling.find, token)
        self.assertEqual(len(self.sessions), 0)
        stuck.errback(DrainingNow("nobody hears this"))

    def test_the_node_stops(self) -> None:
        """A waiting poll brings the reason, a later one too; afterwards nothing is left."""
        waiting_session, _ = self.open()
        absent, _ = self.open()
        waiting = waiting_session.poll(1)
        self.sessions.end_all()
        self.successResultOf(self.sessions.finished())
        for batch in (self.successResultOf(waiting), self.successResultOf(absent.poll(1))):
            ((request, word),) = map(decode, batch)
            assert isinstance(word, ClientRefused)
            self.assertEqual((request, word.code), (0, "draining"))
        self.polling.discard_all()
        self.assertEqual((len(self.polling), len(self.sessions)), (0, 0))

    def test_ended_and_never_asked_for(self) -> None:
        """Is forgotten after the minute as well."""
        self.open()
        self.sessions.end_all()
        self.network.run(IDLE_SECONDS + 1)
        self.assertEqual((len(self.polling), len(self.sessions)), (0, 0))

    def test_a_draining_node_opens_none(self) -> None:
        """And says why."""
        draining = replace(services(self.network, self.nodes[0]), state=lambda: "draining")
        refusing = PollingSessions(ClientSessions(draining, 8), self.network.clock)
        self.assertRaises(DrainingNow, refusing.open)

    def test_tokens(self) -> None:
        """32 bytes each, all different; any other opens nothing."""
        first, second = self.polling.open()[0], self.polling.open()[0]
        self.assertEqual((len(first), len(second)), (32, 32))
        self.assertNotEqual(first, second)
        self.assertIsNot(self.polling.find(first), self.polling.find(second))
        for wrong in (b"", first[:-1], first + b"\0", bytes(32)):
            self.assertRaises(UnknownSession, self.polling.find, wrong)


class _Elsewhere:
    """A client that comes by another way."""

    def send(self, data: bytes) -> None:
        return None

    def close(self) -> None:
        return None

    def hold(self, seconds: float) -> None:
        return None


def _ping(request: int) -> bytes:
    return encode_client_message(ClientPing(), request)


def _pong() -> bytes:
    """What a client never sends."""
    return encode_client_message(ClientPong(0), 1)


def _defer() -> bytes:
    return encode_client_message(Defer((bytes(32),)), 0)

"""The peer session: every state against every input, and two sessions talking."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import (
    InternalError,
    ProtocolError,
    Quota,
    Redirect,
    Refusal,
    TooLarge,
    TooMany,
    UnknownMessage,
    UnknownRefusal,
    WrongNetwork,
)
from tace.wire.framing import HEAD_BYTES, MAX_BODY_BYTES, FrameBuffer, encode_frame
from tace.wire.message import Message, encode
from tace.wire.peer import (
    PEER_MESSAGES,
    Arrived,
    Done,
    EnvelopeList,
    GetRecord,
    Goodbye,
    Hello,
    Notify,
    Ping,
    Pong,
    Records,
    Refused,
    Ring,
    Unwatch,
)
from tace.wire.session import (
    ANSWERS,
    ONE_WAY,
    ONE_WAY_ID,
    REQUESTS,
    STATES,
    AnswerArrived,
    Broken,
    Event,
    GoodbyeArrived,
    HelloArrived,
    Kind,
    OneWayArrived,
    Owed,
    PeerSession,
    RefusalArrived,
    RequestArrived,
    State,
    kind_of,
)
from tests.wire.samples import ENVELOPE, NODE_RECORD, PEER_SAMPLES, A

HELLO = next(sample for sample in PEER_SAMPLES if isinstance(sample, Hello))
UNKNOWN_NUMBER = 200


def frame(message: Message, request_id: int = ONE_WAY_ID) -> bytes:
    return encode_frame(message.NUMBER, request_id, encode(message))


def frames_in(data: bytes) -> list[tuple[int, Message]]:
    """(request id, message) of each frame."""
    buffer = FrameBuffer(MAX_BODY_BYTES)
    buffer.add(data)
    found = []
    while (one := buffer.next_frame()) is not None:
        number, request_id, body = one
        found.append((request_id, PEER_MESSAGES.decode(number, body)))
    return found


def receive(session: PeerSession, data: bytes) -> list[Event]:
    return list(session.receive(data))


def session_up(max_requests_in_flight: int = 1024) -> PeerSession:
    session = PeerSession(max_requests_in_flight=max_requests_in_flight)
    session.hello(HELLO)
    receive(session, frame(HELLO))
    session.accept_hello()
    return session


def session_in(state: State) -> PeerSession:
    """A session in that state, with request 1 of ours in flight where that is possible."""
    match state:
        case State.AWAITING_HELLO:
            return PeerSession()
        case State.CHECKING_HELLO:
            session = PeerSession()
            receive(session, frame(HELLO))
            return session
        case State.UP:
            session = session_up()
            session.ask(Ping())
            return session
        case State.CLOSED:
            session = session_up()
            session.goodbye("draining")
            return session


INPUTS: dict[Kind, bytes] = {
    Kind.HELLO: frame(HELLO),
    Kind.REQUEST: frame(Notify(1, 2), 7),
    Kind.ANSWER: frame(Pong(), 1),
    Kind.ONE_WAY: frame(Unwatch(())),
    Kind.GOODBYE: frame(Goodbye("draining")),
    Kind.UNKNOWN_REQUEST: encode_frame(UNKNOWN_NUMBER, 9, b"\x90"),
    Kind.UNKNOWN_ONE_WAY: encode_frame(UNKNOWN_NUMBER, ONE_WAY_ID, b"\x90"),
}
BROKEN = (Broken, State.CLOSED)
EXPECTED: dict[State, dict[Kind, tuple[type[Event] | None, State]]] = {
    State.AWAITING_HELLO: {
        Kind.HELLO: (HelloArrived, State.CHECKING_HELLO),
        Kind.REQUEST: BROKEN,
        Kind.ANSWER: BROKEN,
        Kind.ONE_WAY: BROKEN,
        Kind.GOODBYE: (GoodbyeArrived, State.CLOSED),
        Kind.UNKNOWN_REQUEST: BROKEN,
        Kind.UNKNOWN_ONE_WAY: BROKEN,
    },
    State.UP: {
        Kind.HELLO: BROKEN,
        Kind.REQUEST: (RequestArrived, State.UP),
        Kind.ANSWER: (AnswerArrived, State.UP),
        Kind.ONE_WAY: (OneWayArrived, State.UP),
        Kind.GOODBYE: (GoodbyeArrived, State.CLOSED),
        Kind.UNKNOWN_REQUEST: (Owed, State.UP),
        Kind.UNKNOWN_ONE_WAY: (None, State.UP),
    },
    State.CLOSED: dict.fromkeys(Kind, (None, State.CLOSED)),
}


class TableTests(SynchronousTestCase):
    """What the table says is what happens."""

    def test_every_state_and_input(self) -> None:
        """Each input in each state: the event it makes, and the state after it."""
        for state, row in EXPECTED.items():
            self.assertEqual(set(row), set(Kind))
            for kind, (event, after) in row.items():
                session = session_in(state)
                events = receive(session, INPUTS[kind])
                found = [type(one) for one in events]
                self.assertEqual(found, [] if event is None else [event], (state, kind))
                self.assertIs(session.state, after, (state, kind))

    def test_the_table_names_every_state(self) -> None:
        """No state is forgotten, and none leads out of CLOSED."""
        self.assertEqual(set(STATES), set(State))
        self.assertEqual(STATES[State.CLOSED], {})

    def test_nothing_is_read_while_a_hello_is_checked(self) -> None:
        """The driver must decide first; feeding more is its mistake."""
        session = session_in(State.CHECKING_HELLO)
        self.assertRaises(RuntimeError, session.receive, frame(Ping(), 1))

    def test_kinds_of_all_messages(self) -> None:
        """Every message is a hello, goodbye, request, answer or one-way message, by its class."""
        for number, cls in PEER_MESSAGES.classes.items():
            alone = cls in ONE_WAY or cls in (Hello, Goodbye)
            self.assertTrue(alone or cls in REQUESTS or cls in ANSWERS, cls)
            if alone:
                self.assertIn(kind_of(number, True), (Kind.HELLO, Kind.GOODBYE, Kind.ONE_WAY))
            else:
                self.assertRaises(ProtocolError, kind_of, number, True)
            if cls in REQUESTS:
                self.assertIs(kind_of(number, False), Kind.REQUEST)
            elif cls in ANSWERS:
                self.assertIs(kind_of(number, False), Kind.ANSWER)
            else:
                self.assertRaises(ProtocolError, kind_of, number, False)

    def test_only_records_is_both(self) -> None:
        """News with request id 0, the answer to GetRecords with another."""
        self.assertEqual(ONE_WAY & ANSWERS, {Records})

    @given(st.lists(st.sampled_from([*INPUTS.values(), b"\xff", b"\0" * 12]), max_size=6))
    @settings(derandomize=True, deadline=None)
    def test_any_order(self, inputs: list[bytes]) -> None:
        """Whatever comes in whatever order, only events come out; after an error nothing does."""
        session = PeerSession()
        over = False
        for data in inputs:
            events = receive(session, data)
            if events and isinstance(events[-1], HelloArrived):
                session.accept_hello()
                events = receive(session, b"")
            self.assertFalse(over and events)
            over = over or any(isinstance(event, Broken) for event in events)
            self.assertTrue(not over or session.state is State.CLOSED)

    @given(st.binary(max_size=100))
    @settings(derandomize=True, deadline=None)
    def test_garbage(self, garbage: bytes) -> None:
        """A session that is up survives no garbage, and raises nothing."""
        session = session_up()
        for event in receive(session, garbage):
            self.assertIsInstance(event, RequestArrived | OneWayArrived | Owed | Broken)


class HelloTests(SynchronousTestCase):
    """The first frame, both ways."""

    def test_accepted(self) -> None:
        """The hello comes out as it went in; then the session is up."""
        session = PeerSession()
        self.assertEqual(receive(session, session_hello()), [HelloArrived(HELLO)])
        session.accept_hello()
        self.assertIs(session.state, State.UP)

    def test_what_came_behind_it_is_not_lost(self) -> None:
        """Requests in the same read are read once the hello was accepted."""
        session = PeerSession()
        events = session.receive(frame(HELLO) + frame(Notify(1, 2), 7))
        self.assertEqual(next(events), HelloArrived(HELLO))
        session.accept_hello()
        self.assertEqual(list(events), [RequestArrived(7, Notify(1, 2))])

    def test_the_state_is_that_of_the_event_in_hand(self) -> None:
        """A goodbye further on in the same read does not close the session early."""
        session = session_up()
        events = session.receive(frame(Notify(1, 2), 7) + frame(Goodbye("idle")))
        self.assertEqual(next(events), RequestArrived(7, Notify(1, 2)))
        self.assertIs(session.state, State.UP)
        self.assertEqual(list(events), [GoodbyeArrived("idle", "")])
        self.assertIs(session.state, State.CLOSED)

    def test_rejected(self) -> None:
        """The other side is told the word; what came behind is never read."""
        session = PeerSession()
        receive(session, frame(HELLO) + frame(Notify(1, 2), 7))
        broken = session.reject(WrongNetwork("this is another network"))
        self.assertEqual(
            frames_in(broken.farewell), [(0, Goodbye("wrong-network", "this is another network"))]
        )
        self.assertIs(session.state, State.CLOSED)
        self.assertEqual(receive(session, frame(Ping(), 1)), [])

    def test_size_before_it(self) -> None:
        """More than 4 KiB is refused before the hello by the length alone, and allowed after it."""
        large = frame(EnvelopeList((ENVELOPE,) * 2))
        session = PeerSession()
        (event,) = receive(session, large[:4])
        self.assertIsInstance(event, Broken)
        session = session_up()
        self.assertEqual(receive(session, large[:4]), [])

    def test_size_after_it(self) -> None:
        """64 KiB is the end."""
        session = session_up()
        (event,) = receive(session, (MAX_BODY_BYTES + HEAD_BYTES - 4 + 1).to_bytes(4))
        self.assertIsInstance(event, Broken)

    def test_nothing_is_said_before_it(self) -> None:
        """Asking before both hellos is a mistake of this program."""
        for session in (PeerSession(), session_in(State.CHECKING_HELLO)):
            self.assertRaises(RuntimeError, session.ask, Ping())
            self.assertRaises(RuntimeError, session.tell, Unwatch(()))
        accepted_without_ours = session_in(State.CHECKING_HELLO)
        accepted_without_ours.accept_hello()
        self.assertRaises(RuntimeError, accepted_without_ours.ask, Ping())

    def test_said_once(self) -> None:
        """There is one hello."""
        self.assertRaises(RuntimeError, session_up().hello, HELLO)


def session_hello() -> bytes:
    return PeerSession().hello(HELLO)


class ExchangeTests(SynchronousTestCase):
    """Two sessions, joined by hand."""

    def setUp(self) -> None:
        self.near, self.far = session_up(4), session_up(4)

    def one(self, events: Iterable[Event]) -> Event:
        (event,) = events
        return event

    def ask(self, request: Message) -> tuple[int, int]:
        """Carry a request over; (near's id, far's id), which are one number."""
        request_id, data = self.near.ask(request)
        event = self.one(receive(self.far, data))
        assert isinstance(event, RequestArrived)
        self.assertEqual(event.request, request)
        return request_id, event.request_id

    def test_answers_find_their_requests(self) -> None:
        """Answered in another order than asked."""
        first, second = self.ask(Notify(1, 1)), self.ask(GetRecord(A))
        self.assertNotEqual(first, second)
        data = self.far.refuse(second[1], Quota("the mailbox is full", 500))
        refused = self.one(receive(self.near, data))
        assert isinstance(refused, RefusalArrived)
        self.assertEqual(refused.request_id, second[0])
        self.assertIsInstance(refused.refusal, Quota)
        self.assertEqual(refused.refusal.retry_after_ms, 500)
        answered = self.one(receive(self.near, self.far.answer(first[1], Done())))
        self.assertEqual(answered, AnswerArrived(first[0], Done()))
        self.assertEqual((self.near.in_flight, self.far.to_answer), (0, 0))

    def test_both_ask_with_the_same_id(self) -> None:
        """Ids are each side's own."""
        _, ours = self.near.ask(Ping())
        _, theirs = self.far.ask(Ping())
        receive(self.near, theirs)
        receive(self.far, ours)
        self.assertEqual(receive(self.near, self.far.answer(1, Pong())), [AnswerArrived(1, Pong())])
        self.assertEqual(receive(self.far, self.near.answer(1, Pong())), [AnswerArrived(1, Pong())])

    def test_one_way(self) -> None:
        """No id, no answer."""
        message = Arrived(())
        self.assertEqual(receive(self.far, self.near.tell(message)), [OneWayArrived(message)])
        self.assertRaises(RuntimeError, self.near.tell, Ping())
        self.assertRaises(RuntimeError, self.near.ask, message)

    def test_redirect_carries_records(self) -> None:
        """The one refusal with something in it."""
        _, far_id = self.ask(GetRecord(A))
        data = self.far.refuse(far_id, Redirect("nearer nodes", records=(NODE_RECORD,) * 9))
        event = self.one(receive(self.near, data))
        assert isinstance(event, RefusalArrived)
        assert isinstance(event.refusal, Redirect)
        self.assertEqual(event.refusal.records, (NODE_RECORD,) * 8)

    def test_a_word_of_a_newer_version(self) -> None:
        """An unknown refusal is still a refusal."""
        self.near.ask(Ping())
        event = self.one(receive(self.near, frame(Refused("too-blue"), 1)))
        assert isinstance(event, RefusalArrived)
        self.assertIsInstance(event.refusal, UnknownRefusal)

    def test_a_refusal_always_fits(self) -> None:
        """Too long a detail is cut, not a protocol error at the other end."""
        _, far_id = self.ask(Ping())
        data = self.far.refuse(far_id, Refusal("x" * 1000, retry_after_ms=2**40))
        event = self.one(receive(self.near, data))
        assert isinstance(event, RefusalArrived)
        self.assertEqual(event.refusal.detail, "x" * 200)
        self.assertEqual(event.refusal.retry_after_ms, 2**32 - 1)

    def test_answer_that_was_not_asked_for(self) -> None:
        """Nobody asked, or it was answered before."""
        self.assertIsInstance(self.one(receive(self.near, frame(Pong(), 1))), Broken)
        near, data = session_up(), frame(Pong(), 1)
        near.ask(Ping())
        self.assertEqual(receive(near, data), [AnswerArrived(1, Pong())])
        self.assertIsInstance(self.one(receive(near, data)), Broken)

    def test_answer_of_the_wrong_class(self) -> None:
        """A ring snapshot is no pong."""
        self.near.ask(Ping())
        self.assertIsInstance(self.one(receive(self.near, frame(Ring(0, True, A), 1))), Broken)

    def test_events_before_an_error_are_kept(self) -> None:
        """What came first was right."""
        events = receive(self.far, frame(Notify(1, 2), 1) + frame(Pong(), 1) + frame(Ping(), 2))
        self.assertEqual([type(event) for event in events], [RequestArrived, Broken])

    def test_id_in_use(self) -> None:
        """A second request with the id of an open one."""
        receive(self.far, frame(Notify(1, 2), 1))
        self.assertIsInstance(self.one(receive(self.far, frame(Notify(1, 2), 1))), Broken)

    def test_an_id_may_be_used_again(self) -> None:
        """Once it was answered."""
        receive(self.far, frame(Notify(1, 2), 1))
        self.far.answer(1, Done())
        self.assertEqual(
            receive(self.far, frame(Notify(1, 2), 1)), [RequestArrived(1, Notify(1, 2))]
        )

    def test_unknown_request(self) -> None:
        """A newer version's request is refused by name; the link stays."""
        event = self.one(receive(self.far, encode_frame(UNKNOWN_NUMBER, 9, b"\x90")))
        assert isinstance(event, Owed)
        ((request_id, refused),) = frames_in(event.data)
        assert isinstance(refused, Refused)
        self.assertEqual((request_id, refused.code), (9, UnknownMessage.code))

    def test_our_requests_are_bounded(self) -> None:
        """The fifth of four."""
        for _ in range(4):
            self.near.ask(Ping())
        self.assertRaises(TooMany, self.near.ask, Ping())
        receive(self.near, frame(Pong(), 2))
        self.near.ask(Ping())
        self.assertEqual(self.near.in_flight, 4)

    def test_their_requests_are_bounded(self) -> None:
        """The fifth of four is refused, not remembered."""
        events = receive(self.far, b"".join(frame(Notify(1, 2), i) for i in range(1, 6)))
        self.assertEqual([type(event) for event in events], [RequestArrived] * 4 + [Owed])
        assert isinstance(events[-1], Owed)
        ((request_id, refused),) = frames_in(events[-1].data)
        assert isinstance(refused, Refused)
        self.assertEqual((request_id, refused.code), (5, TooMany.code))
        self.assertEqual(self.far.to_answer, 4)

    def test_too_large_to_send(self) -> None:
        """A request or one-way message raises; an answer becomes a refusal."""
        large = EnvelopeList((ENVELOPE,) * 19)
        self.assertRaises(TooLarge, self.near.tell, Records((bytes(1000),) * 70))
        receive(self.far, frame(Notify(1, 2), 3))
        ((request_id, refused),) = frames_in(self.far.answer(3, large))
        assert isinstance(refused, Refused)
        self.assertEqual((request_id, refused.code), (3, InternalError.code))

    def test_a_request_too_large_takes_no_place(self) -> None:
        """Nothing was sent, so nothing is in flight."""
        self.assertRaises(TooLarge, self.near.ask, GetRecord(bytes(70_000)))
        self.assertEqual(self.near.in_flight, 0)

    def test_answering_twice(self) -> None:
        """A mistake of this program, not a frame."""
        _, far_id = self.ask(Ping())
        self.far.answer(far_id, Pong())
        self.assertRaises(KeyError, self.far.answer, far_id, Pong())


class GoodbyeTests(SynchronousTestCase):
    """The last frame."""

    def test_ours(self) -> None:
        """After it nothing is read and nothing can be said."""
        session = session_up()
        self.assertEqual(
            frames_in(session.goodbye("draining", "back soon")),
            [(0, Goodbye("draining", "back soon"))],
        )
        self.assertEqual(receive(session, frame(Ping(), 1)), [])
        self.assertRaises(RuntimeError, session.ask, Ping())
        self.assertEqual(session.goodbye("draining"), b"")

    def test_theirs(self) -> None:
        """The word arrives; nothing is read after it."""
        session = session_up()
        events = receive(session, frame(Goodbye("idle", "bye")) + frame(Ping(), 1))
        self.assertEqual(events, [GoodbyeArrived("idle", "bye")])
        self.assertIs(session.state, State.CLOSED)

    def test_before_the_hello(self) -> None:
        """A node that refuses us may say so without having said who it is."""
        self.assertEqual(
            receive(PeerSession(), frame(Goodbye("wrong-network"))),
            [GoodbyeArrived("wrong-network", "")],
        )

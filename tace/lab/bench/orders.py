"""What the bench and its load generators say to each other: one line of JSON each, in turns."""

from __future__ import annotations

import msgspec


class FlowPlan(msgspec.Struct, frozen=True):
    """One sender and one receiver, each at its node."""

    number: int
    """Its place among all flows of the run: they take turns in an open loop."""
    sender_url: str
    receiver_url: str


class Load(msgspec.Struct, frozen=True):
    """How much, how fast, how long; the same for all generators."""

    flows: int
    letters_per_flow: int
    rate: float
    """Messages a second over all flows; 0: closed loop with ``depth`` in flight for each."""
    depth: int
    seconds: float
    drain_seconds: float
    """How long after the load the last messages may take."""


class Order(msgspec.Struct, frozen=True, tag=True):
    """What a generator is told. Each order is answered before the next one comes."""


class ConnectIdle(Order, frozen=True):
    """Open so many connections to each node that lease and watch and say nothing."""

    counts: dict[str, int]


class Prepare(Order, frozen=True):
    """Seal the messages, connect, and send a few that do not count."""

    load: Load
    flows: list[FlowPlan]


class Go(Order, frozen=True):
    """Run the load from this moment of the machine's monotonic clock."""

    start: float


class Answer(msgspec.Struct, frozen=True, tag=True):
    """What a generator says."""


class Done(Answer, frozen=True):
    """The order is carried out."""


class Failed(Answer, frozen=True):
    """It cannot be; the generator is of no more use."""

    reason: str


class Progress(Answer, frozen=True):
    """Comes before the answer, some times a second."""

    done: int


class Outcome(Answer, frozen=True):
    """The books of one generator, when its load is over."""

    sent: int
    stored: int
    delivered: int
    lost: int
    duplicated: int
    strange: int
    unsent: int
    exhausted: bool
    refused: dict[str, int]
    acks: dict[str, int]
    last_delivery: float
    settled_at: float
    cpu_seconds: float
    store: dict[int, int]
    store_longest: float
    receive: dict[int, int]
    receive_longest: float
    lag: dict[int, int]
    lag_longest: float


_orders: msgspec.json.Decoder[ConnectIdle | Prepare | Go] = msgspec.json.Decoder(
    ConnectIdle | Prepare | Go
)
_answers: msgspec.json.Decoder[Done | Failed | Progress | Outcome] = msgspec.json.Decoder(
    Done | Failed | Progress | Outcome
)


def encode(message: Order | Answer) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(message)


def decode_order(line: bytes) -> ConnectIdle | Prepare | Go:
    """:raises msgspec.DecodeError: it is none."""
    return _orders.decode(line)


def decode_answer(line: bytes) -> Done | Failed | Progress | Outcome:
    """:raises msgspec.DecodeError: it is none."""
    return _answers.decode(line)

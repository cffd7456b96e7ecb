"""What a store is given to do when it is measured: writes, reads, acks and expiry."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from tace.ids import KIND_CONTACTS, Label, MailboxId, digest
from tace.wire.objects import (
    BLOB_BYTES,
    SECONDS_PER_HOUR,
    SECRET_BYTES,
    Envelope,
    Tombstone,
    lock_of,
)

ROWS_A_COMMIT = 100
PUTS_A_CYCLE = 5
"""Commits of envelopes in a cycle; one of them is left to expire, the others are acked."""
ROWS_A_CYCLE = (2 * PUTS_A_CYCLE - 1) * ROWS_A_COMMIT
LIFETIME_HOURS = 3
"""A cycle takes an hour of the time that the store is told: so expiry has its part."""
READS_A_COMMIT = 10
"""So many mailboxes are listed with every commit, and what is found there is read."""
LISTED = 16
"""At most so much of a mailbox."""


class Figures(msgspec.Struct, frozen=True):
    """Of one of the two. ``cpu_us_per_row`` is of all threads; the rate is by the clock."""

    rows_per_second: float
    cpu_us_per_row: float
    rows_per_commit: float
    envelopes_read: int
    rows_expired: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """What is written within one hour: commits of envelopes, then of acks for most of them."""

    hour: int
    puts: Sequence[Sequence[Envelope]]
    acks: Sequence[Sequence[Tombstone]]

    @property
    def now(self) -> float:
        return float(self.hour * SECONDS_PER_HOUR)

    def commits(self) -> Iterator[Sequence[Envelope] | Sequence[Tombstone]]:
        """In the order of time: acks come one commit after what they are for."""
        for index, put in enumerate(self.puts):
            yield put
            if index:
                yield self.acks[index - 1]


def cycles(
    count: int, mailboxes: int, first_hour: int, random_bytes: Callable[[int], bytes]
) -> list[Cycle]:
    """Envelopes of random content for mailboxes in turn, and the acks of four fifths."""
    boxes = [_mailbox(number) for number in range(mailboxes)]
    made, number = [], 0
    for hour in range(first_hour, first_hour + count):
        puts, acks = [], []
        for _ in range(PUTS_A_CYCLE):
            secrets = [random_bytes(SECRET_BYTES) for _ in range(ROWS_A_COMMIT)]
            put = []
            for secret in secrets:
                box = boxes[number % mailboxes]
                number += 1
                put.append(
                    Envelope.make(
                        mailbox=box,
                        expires_hours=hour + LIFETIME_HOURS,
                        lock=lock_of(secret),
                        blob=random_bytes(BLOB_BYTES),
                    )
                )
            puts.append(put)
            acks.append([Tombstone.of(e, s) for e, s in zip(put, secrets, strict=True)])
        made.append(Cycle(hour, puts, acks[:-1]))
    return made


def _mailbox(number: int) -> MailboxId:
    return digest(Label.MAILBOX, number.to_bytes(33))[:31] + bytes([KIND_CONTACTS])


class StopWatch:
    """The clock and the CPU time of this process, from its making on."""

    def __init__(self) -> None:
        self._began, self._used = time.perf_counter(), time.process_time()

    def figures(self, rows: int, commits: int, read: int, expired: int) -> Figures:
        seconds = time.perf_counter() - self._began
        cpu = time.process_time() - self._used
        return Figures(
            rows_per_second=round(rows / seconds, 1),
            cpu_us_per_row=round(cpu / rows * 1e6, 2),
            rows_per_commit=round(rows / commits, 1),
            envelopes_read=read,
            rows_expired=expired,
        )

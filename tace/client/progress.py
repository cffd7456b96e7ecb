"""How far messages have come: what a node's answer makes of a parcel, and parcels of a message."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tace.client.backoff import SLOWEST_SECONDS, Repeats, retry_after
from tace.client.rows import MessageState, Parcel, ParcelState
from tace.ids import NodeId
from tace.wire.client import SendResult
from tace.wire.objects import Envelope, lock_of

Progress = tuple[MessageState, int, int]
"""(state, copies, of how many replicas)"""
_NOTHING: Progress = (MessageState.QUEUED, 0, 0)


def offered(
    parcel: Parcel,
    envelope: Envelope,
    result: SendResult,
    now: float,
    random_source: random.Random,
    repeats: Repeats,
    *,
    node: NodeId,
    elsewhere: bool = False,
) -> Parcel:
    """The parcel after ``node`` answered ``result`` for it, with the time of its next offer.

    No word of one node ends a parcel: another node may take it.

    :param elsewhere: the next offer goes to another node, so this one's wish for a pause, which
        is granted up to a minute, does not hold it back.
    """
    match result.state:
        case "acked" if lock_of(result.secret) == envelope.lock:
            return replace(parcel, state=ParcelState.ACKED)
        case "stored" | "duplicate":
            offers = parcel.attempts + 1 if parcel.state is ParcelState.STORED else 1
            return replace(
                parcel,
                state=ParcelState.STORED,
                copies=result.copies,
                replicas=result.of,
                attempts=offers,
                next_seconds=now + repeats.after(offers, random_source),
                asked=node,
            )
        case _ if parcel.state is ParcelState.STORED:
            # It was on a majority of disks a while ago, and does not fall back.
            offers = parcel.attempts + 1
            wait = repeats.after_refusal(offers, random_source)
            return replace(parcel, attempts=offers, next_seconds=now + wait, asked=node)
        case _:
            failures = parcel.attempts + 1
            wait = retry_after(failures, random_source)
            if not elsewhere:
                wait = max(wait, min(SLOWEST_SECONDS, result.retry_after_ms / 1000))
            return replace(
                parcel,
                copies=max(parcel.copies, result.copies),
                replicas=max(parcel.replicas, result.of),
                attempts=failures,
                next_seconds=now + wait,
            )


def progress(contents: Iterable[Sequence[Parcel]]) -> Progress:
    """How far a message is: as far as the least of its contents, each on the best device.

    :param contents: the parcels of each content of it that is still in the outbox; not none.
    """
    return min((_best(parcels) for parcels in contents), key=_order)


def _best(parcels: Sequence[Parcel]) -> Progress:
    return max((_of(parcel) for parcel in parcels), key=_order, default=_NOTHING)


def _of(parcel: Parcel) -> Progress:
    match parcel.state:
        case ParcelState.ACKED:
            state = MessageState.DELIVERED
        case ParcelState.STORED:
            state = MessageState.STORED
        case ParcelState.WAITING:
            state = MessageState.PARTIAL if parcel.copies else MessageState.QUEUED
    return state, parcel.copies, parcel.replicas


def _order(found: Progress) -> tuple[int, int]:
    state, copies, _ = found
    return state.reached, copies

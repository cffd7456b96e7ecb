"""Making stamps: proof of work over an envelope's id with a committed target.

A stamp is a nonce for which H("tace stamp 1" || id 32 || target u8 || nonce u64) starts with
``target`` zero bits; checking is :meth:`tace.wire.objects.Envelope.stamped_for`. The target lies
under the hash, so luck with an easy one never passes for work at a hard one.
"""

from __future__ import annotations

from collections.abc import Generator
from hashlib import sha256

from tace.ids import Label, MessageId
from tace.wire.objects import Envelope

NONCES = 1 << 64
STEP = 4096
"""Hashes between two looks at whether to go on: some milliseconds."""


def stamp_search(
    message: MessageId, target: int, *, start: int = 0, step: int = STEP
) -> Generator[int | None, None, None]:
    """Look for a nonce; yields None after every ``step`` hashes without one, then the nonce.

    The caller decides between two steps whether to go on, so a search can run in a thread and be
    given up. Expected work: 2**target hashes.
    """
    if not 0 <= target <= 255:
        raise ValueError(f"a target is 0 to 255 bits, not {target}")
    head = sha256(Label.STAMP + message + bytes([target]))
    limit = 1 << (256 - target)
    nonce = start
    while nonce < NONCES:
        for candidate in range(nonce, min(nonce + step, NONCES)):
            state = head.copy()
            state.update(candidate.to_bytes(8))
            if int.from_bytes(state.digest()) < limit:
                yield candidate
                return
        nonce += step
        yield None


def with_stamp(envelope: Envelope, target: int, nonce: int) -> Envelope:
    """The same envelope, with the same id, and that stamp."""
    return Envelope.make(
        mailbox=envelope.mailbox,
        expires_hours=envelope.expires_hours,
        lock=envelope.lock,
        blob=envelope.blob,
        stamp_target=target,
        stamp_nonce=nonce,
    )

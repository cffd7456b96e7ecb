"""What this machine can do, measured without tace, so that figures of two machines compare."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tace.lab.bench.sqlite import committing
from tace.wire.objects import ENVELOPE_BYTES

SECONDS_EACH = 0.5
ROWS_A_COMMIT = 100


class Reference(msgspec.Struct, frozen=True):
    """CPU microseconds of one process, but for the last, which is a rate by the clock."""

    p256_verify_us: float
    sha256_envelope_us: float
    sqlite_row_us: float
    """One row of an envelope's size with an index, 100 a commit, synchronous FULL."""
    sqlite_rows_per_second: float


def measure(directory: Path) -> Reference:
    """Takes two seconds.

    :param directory: the database is written here, where the nodes will write theirs.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(b"message", ec.ECDSA(SHA256()))
    public = key.public_key()
    envelope = os.urandom(ENVELOPE_BYTES)
    verify, _ = _per_call(lambda: public.verify(signature, b"message", ec.ECDSA(SHA256())))
    hashing, _ = _per_call(lambda: sha256(envelope).digest())
    with (
        TemporaryDirectory(dir=directory) as scratch,
        committing(Path(scratch), envelope, ROWS_A_COMMIT) as commit_rows,
    ):
        commit, elapsed = _per_call(commit_rows)
    return Reference(
        p256_verify_us=round(verify * 1e6, 1),
        sha256_envelope_us=round(hashing * 1e6, 2),
        sqlite_row_us=round(commit / ROWS_A_COMMIT * 1e6, 1),
        sqlite_rows_per_second=round(ROWS_A_COMMIT / elapsed),
    )


def _per_call(call: Callable[[], object]) -> tuple[float, float]:
    """(CPU seconds, seconds by the clock) of one call, in the mean over half a second."""
    call()
    calls, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < SECONDS_EACH:
        call()
        calls += 1
    return (time.process_time() - used) / calls, (time.perf_counter() - began) / calls

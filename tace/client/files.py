"""Files: their sealed chunks to nodes, before the message that names them is sent, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import BinaryIO, TypeVar

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from tace.client.addressing import LIFETIME_HOURS, latest_expiry
from tace.client.backoff import SLOWEST_SECONDS
from tace.client.connection import Connection
from tace.client.errors import FileGone, NoNode, TooMuchWork
from tace.client.outbox import Outbox
from tace.client.stamping import Stamper, wanted_bits
from tace.client.vault import RandomBytes
from tace.e2ee.content import MAX_FILE_CHUNKS, PIECE_BYTES, File, chunks_of
from tace.e2ee.file import chunk_hash, open_chunk, seal_chunk
from tace.errors import Malformed, NotStored, StampRequired, TooLarge
from tace.wire.client import GetBlob, PutBlob
from tace.wire.objects import MAX_STAMP_TARGET, SECONDS_PER_HOUR

T = TypeVar("T")
MAX_FILE_BYTES = MAX_FILE_CHUNKS * PIECE_BYTES
KEY_BYTES = 32
ATTEMPTS = 8
"""How often a chunk is offered or asked for before the whole file is given up."""
FIRST_PAUSE_SECONDS = 1.0

Progress = Callable[[int, int], None]
"""Told (chunks that are done, chunks in all)."""


class Files:
    """Puts and fetches the chunks of files, one after the other."""

    def __init__(
        self, outbox: Outbox, stamper: Stamper, clock: IReactorTime, random_bytes: RandomBytes
    ) -> None:
        self._outbox = outbox
        self._stamper = stamper
        self._clock = clock
        self._random_bytes = random_bytes

    async def put(
        self, source: BinaryIO, size: int, name: str, media_type: str, progress: Progress
    ) -> File:
        """What a message says of the file, whose chunks are on most of their nodes' disks then.

        :param source: gives exactly ``size`` bytes.
        :raises TooLarge: more than 62 MiB.
        :raises NoNode: no node took a chunk; nothing is kept of it here.
        """
        if size > MAX_FILE_BYTES:
            raise TooLarge(f"a file has at most {MAX_FILE_BYTES:,} bytes")
        key = self._random_bytes(KEY_BYTES)
        count = chunks_of(size)
        expires_hours = int(self._clock.seconds()) // SECONDS_PER_HOUR + LIFETIME_HOURS
        hashes: list[bytes] = []
        for index in range(count):
            piece = source.read(min(PIECE_BYTES, size - index * PIECE_BYTES))
            if len(piece) != min(PIECE_BYTES, size - index * PIECE_BYTES):
                raise Malformed("the file changed while it was read")
            chunk = seal_chunk(key, index, count, piece)
            hashes.append(chunk_hash(chunk))
            expires_hours = min(expires_hours, await self._put(chunk, hashes[-1], expires_hours))
            progress(index + 1, count)
        return File(name, media_type, size, key, expires_hours, tuple(hashes))

    async def fetch(self, file: File, target: BinaryIO, progress: Progress) -> None:
        """Write the file to ``target``.

        :raises FileGone: the nodes have some of it no more.
        :raises NoNode: they could not be asked.
        :raises Malformed: what they have does not open.
        """
        count, left = len(file.hashes), file.size
        for index, name in enumerate(file.hashes):
            chunk = await self._get(name)
            piece = open_chunk(file.key, index, count, chunk)[: min(left, PIECE_BYTES)]
            target.write(piece)
            left -= len(piece)
            progress(index + 1, count)

    async def _put(self, chunk: bytes, name: bytes, expires_hours: int) -> int:
        """The expiry that it was put with."""

        async def put(connection: Connection) -> int:
            latest = latest_expiry(connection.node_seconds, connection.challenge.max_lifetime_hours)
            until = min(expires_hours, latest)
            bits = connection.challenge.requests_stamp_bits
            while True:
                if bits > MAX_STAMP_TARGET:
                    raise TooMuchWork(f"{connection.address} wants stamps of {bits} bits")
                nonce = await self._stamper.nonce(name, bits)
                try:
                    answer = await connection.request(PutBlob(chunk, until, bits, nonce))
                except StampRequired as error:
                    wanted = wanted_bits(error.detail)
                    if wanted is None or wanted <= bits:
                        raise
                    bits = wanted
                    continue
                if answer.state != "stored":
                    raise NotStored(f"stored on {answer.copies} of {answer.of} nodes")
                return until

        return await self._patiently(lambda: self._outbox.connection.ask(put))

    async def _get(self, name: bytes) -> bytes:
        async def get(connection: Connection) -> bytes:
            found = await connection.request(GetBlob(name))
            if found.blob and hashlib.sha256(found.blob).digest() != name:
                raise Malformed("the node gave another chunk than was asked for")
            return found.blob

        chunk = await self._patiently(lambda: self._outbox.connection.ask(get))
        if not chunk:
            raise FileGone("the nodes do not have the file any more")
        return chunk

    async def _patiently(self, asking: Callable[[], Awaitable[T]]) -> T:
        """A node that is busy says until when; where there is no other, it is waited for."""
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS - 1):
            try:
                return await asking()
            except NoNode as error:
                await deferLater(self._clock, max(pause, min(SLOWEST_SECONDS, error.pause_seconds)))
                pause = min(SLOWEST_SECONDS, 2 * pause)
        return await asking()

"""What one link still has to send: passed on while the transport takes it, else kept, bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

CHUNK_BYTES = 64 * 1024
"""Handed to the transport at once: as much as it gathers itself before it writes."""


@implementer(IPushProducer)
class SendBuffer:
    """Bytes on their way out.

    Twisted's TLS transport gathers what is written in one reactor turn into few records and one
    write, so most frames go straight to it. Between :meth:`cork` and :meth:`uncork` they are
    gathered here, which is cheaper. The transport calls ``pauseProducing`` when the socket is
    behind; from then on they are kept here.

    :param transport: a TLS transport; this becomes its producer.
    :param relief_bytes: see ``relieved``.
    :param relieved: told whenever the transport has taken something and no more than
        ``relief_bytes`` wait here.
    """

    def __init__(
        self, transport: Any, relief_bytes: int = 0, relieved: Callable[[], None] | None = None
    ) -> None:
        self._transport = transport
        self._relief_bytes = relief_bytes
        self._relieved = relieved
        self.handed_over = 0
        """Bytes of what had to wait that the transport has taken."""
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._corked = False
        self._paused = False
        self._written = 0
        self._write = transport.write
        transport.registerProducer(self, True)

    @property
    def unsent_bytes(self) -> int:
        """How much waits here; the transport holds about 128 KiB besides."""
        return self._kept_bytes

    def written_bytes(self) -> int:
        """How much was written since this was last asked."""
        written, self._written = self._written, 0
        return written

    def write(self, data: bytes) -> None:
        self._written += len(data)
        if self._corked or self._paused:
            self._kept.append(data)
            self._kept_bytes += len(data)
            if self._kept_bytes >= CHUNK_BYTES:
                self._flush()
        else:
            self._write(data)

    def cork(self) -> None:
        """Gather what is written until :meth:`uncork`, or until it is a chunk."""
        self._corked = True

    def uncork(self) -> None:
        self._corked = False
        if self._kept:
            self._flush()

    def finish(self) -> None:
        """Hand everything over and let go of the transport; what is written later is dropped."""
        self._paused = False
        self._transport.unregisterProducer()
        self._flush()
        self._write = _drop

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._flush()
        if self._relieved is not None and self._kept_bytes <= self._relief_bytes:
            self._relieved()

    def stopProducing(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
        self._write = _drop

    def _flush(self) -> None:
        """Pass on what is kept, in chunks, until the transport is behind."""
        kept = self._kept
        while kept and not self._paused:
            size = 0
            chunk = []
            while kept and size < CHUNK_BYTES:
                data = kept.popleft()
                size += len(data)
                chunk.append(data)
            self._kept_bytes -= size
            self.handed_over += size
            self._write(b"".join(chunk))


def _drop(_: bytes) -> None:
    return None

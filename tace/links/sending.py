"""What one link still has to send: passed on while the transport takes it, else kept, bounded."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class SendBuffer:
    """Bytes on their way out.

    Twisted's TLS transport gathers what is written in one reactor turn into few records and one
    write, so frames go to it one by one. It calls ``pauseProducing`` when the socket is behind;
    from then on bytes are kept here.

    :param transport: a TLS transport; this becomes its producer.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._paused = False
        self._write = transport.write
        transport.registerProducer(self, True)

    @property
    def unsent_bytes(self) -> int:
        """How much waits here; the transport holds about 128 KiB besides."""
        return self._kept_bytes

    def write(self, data: bytes) -> None:
        if self._paused:
            self._kept.append(data)
            self._kept_bytes += len(data)
        else:
            self._write(data)

    def finish(self) -> None:
        """Hand everything over and let go of the transport; what is written later is dropped."""
        self.resumeProducing()
        self._transport.unregisterProducer()
        self._write = _drop

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._kept:
            data = b"".join(self._kept)
            self._kept.clear()
            self._kept_bytes = 0
            self._write(data)

    def stopProducing(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0
        self._paused = False
        self._write = _drop


def _drop(_: bytes) -> None:
    return None

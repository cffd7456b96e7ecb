"""TLS under a link: as Twisted does it, with a bound on what comes before the handshake is over."""

from __future__ import annotations

from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory

from tace.links.connection import Link

MAX_HANDSHAKE_BYTES = 64 * 1024
"""What a peer may send until its TLS handshake is over. A handshake takes about 3 kB, with a long
certificate chain 10; OpenSSL alone would take some 250 kB, and records without content for ever."""


class LinkTransport(BufferingTLSTransport):
    """The TLS side of one link."""

    _handshake_left = MAX_HANDSHAKE_BYTES

    def dataReceived(self, data: bytes) -> None:
        link = self.wrappedProtocol
        assert isinstance(link, Link)
        if not link.is_handshaken:
            self._handshake_left -= len(data)
            if self._handshake_left < 0:
                link.refuse_handshake("handshake-too-long", "the TLS handshake never ends")
                return
        super().dataReceived(data)  # type: ignore[no-untyped-call]


class LinkTlsFactory(TLSMemoryBIOFactory):
    """Puts :class:`LinkTransport` under the links of a factory."""

    protocol = LinkTransport

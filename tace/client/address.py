"""The address of a node as people write it, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

SOCKET_PATH = "/v1/socket"
_SCHEMES = {"http": False, "ws": False, "https": True, "wss": True}
_MAX_URL = 200


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """Host, port and whether TLS stands in front.

    Two ways to write one address (``ws://HOST:80`` and ``http://host/``) are equal.
    """

    secure: bool
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> NodeAddress:
        """From ``http(s)://host[:port]`` or ``ws(s)://host[:port]``.

        :raises ValueError: anything else; the text is one line for a person.
        """
        if len(url) > _MAX_URL:
            raise ValueError("a node's address has at most 200 characters")
        parts = urlsplit(url.strip())
        secure = _SCHEMES.get(parts.scheme.lower())
        if secure is None:
            raise ValueError(f"a node's address begins with http:// or https://, not {url!r}")
        if (
            not parts.hostname
            or parts.username is not None
            or parts.path not in ("", "/", SOCKET_PATH)
        ):
            raise ValueError(f"a node's address is a scheme, a host and a port, not {url!r}")
        try:
            port = parts.port
        except ValueError:
            raise ValueError(f"the port is not a number from 1 to 65535: {url!r}") from None
        return cls(secure, parts.hostname.lower(), port or (443 if secure else 80))

    @property
    def origin(self) -> str:
        """What a lease is signed for: ``scheme://host[:port]``, a default port left out."""
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{self._authority}"

    @property
    def socket_url(self) -> str:
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self._authority}{SOCKET_PATH}"

    @property
    def _authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return self.origin

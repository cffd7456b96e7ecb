"""TLS for links: 1.3 only, a certificate on both sides, ALPN ``tace/1``, no tickets (page 3.1).

The one file that knows OpenSSL. In an open network the certificate proves nothing but itself: any
is accepted, whatever its dates, and the hello proves the node (:mod:`tace.identity.link_proof`).
In a private network (a CA file is set) the certificate must also lead to one of those CAs, and the
side that dialled checks the name or address it dialled.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import service_identity.pyopenssl
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from zope.interface import implementer

from tace.errors import StartError
from tace.identity.link_proof import EXPORTER_BYTES

ALPN = b"tace/1"
_EXPORTER_LABEL = b"EXPORTER-tace-link-1"
_CERTIFICATE_LIFE = timedelta(days=3)
"""Nobody looks at the dates; they are there because X.509 wants some."""


class TlsRejected(Exception):
    """The TLS session is not one a link may run over. The text says why."""


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class LinkTls:
    """Makes the TLS side of new connections.

    :param now: unix seconds, for the dates of the certificate that is made here.
    :param ca_file: makes the network private; the other two must then be given.
    :raises StartError: a file cannot be read or used; the text names the setting.
    """

    def __init__(
        self,
        now: float,
        *,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        private_key_file: Path | None = None,
    ) -> None:
        self._ca_file = ca_file
        self._certificate_file = certificate_file
        self._private_key_file = private_key_file
        self._stamps = self._stamp()
        self._context = self._new_context(now)

    @property
    def private(self) -> bool:
        """Must certificates lead to a CA of this network?"""
        return self._ca_file is not None

    @property
    def reads_files(self) -> bool:
        """Does the certificate come from a file? Else it is made here."""
        return self._certificate_file is not None

    def renew(self, now: float) -> None:
        """Use a new certificate (made, or read again) for links from now on; open ones stay.

        A link is bound to its TLS session and not to the certificate, so that nothing changes for
        those that are up.

        :raises StartError: as at the start; the old certificate stays in use.
        """
        self._context = self._new_context(now)

    def renew_if_changed(self, now: float) -> bool:
        """:meth:`renew` if a file has changed since it was last read, or read in vain.

        :return: whether anything is new.
        :raises StartError: as :meth:`renew`, once for each change.
        """
        stamps = self._stamp()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self.renew(now)
        return True

    def clientConnectionForTLS(self, _: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        return connection

    def serverConnectionForTLS(self, _: object) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        return connection

    def check(self, transport: Any, dialled_host: str | None) -> None:
        """Look at a TLS session whose handshake is over.

        :param transport: Twisted's TLS transport.
        :param dialled_host: the name or address this side dialled; None where it listened.
        :raises TlsRejected: no common protocol, or (in a private network) a certificate for
            somebody else.
        """
        connection = transport.getHandle()
        if connection.get_alpn_proto_negotiated() != ALPN:
            raise TlsRejected("the other side does not speak tace/1")
        if self.private and dialled_host is not None:
            _check_name(connection, dialled_host)

    def _stamp(self) -> list[tuple[int, int] | None]:
        """What tells one state of the files from another: times and sizes."""
        files = (self._ca_file, self._certificate_file, self._private_key_file)
        return [None if file is None else _stamp_of(file) for file in files]

    def _new_context(self, now: float) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        # No resumption. OpenSSL still sends a ticket, but one that names a session in a cache
        # that is off; a resumed session would show the listening side no certificate chain.
        context.set_options(SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_alpn_protos([ALPN])
        context.set_alpn_select_callback(_select_alpn)
        if self._certificate_file is None or self._private_key_file is None:
            _use_made_certificate(context, now)
        else:
            _use_files(context, self._certificate_file, self._private_key_file)
        wanted = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
        if self._ca_file is None:
            context.set_verify(wanted, _accept_any)
        else:
            _load("ca_file", context.load_verify_locations, str(self._ca_file))
            context.set_verify(wanted, _accept_verified)
        return context


def exporter_value(transport: Any) -> bytes:
    """32 bytes that only the two ends of this TLS session know (RFC 5705, RFC 8446 section 7.5)."""
    value: bytes = transport.getHandle().export_keying_material(_EXPORTER_LABEL, EXPORTER_BYTES)
    return value


def _select_alpn(_: SSL.Connection, offered: list[bytes]) -> Any:
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _accept_any(*_: object) -> bool:
    # TLS still demands that the peer holds the certificate's key (RFC 8446 section 4.4.3).
    return True


def _accept_verified(
    _connection: SSL.Connection, _certificate: object, _error: int, _depth: int, good: int
) -> bool:
    return bool(good)


def _check_name(connection: SSL.Connection, host: str) -> None:
    try:
        if _is_address(host):
            service_identity.pyopenssl.verify_ip_address(connection, host)
        else:
            service_identity.pyopenssl.verify_hostname(connection, host)
    except (service_identity.VerificationError, service_identity.CertificateError) as error:
        raise TlsRejected(f"the certificate is not for {host}") from error


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _use_made_certificate(context: SSL.Context, now: float) -> None:
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tace")])
    made = datetime.fromtimestamp(now, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(made - _CERTIFICATE_LIFE)
        .not_valid_after(made + _CERTIFICATE_LIFE)
        .sign(key, SHA256())
    )
    context.use_certificate(certificate)
    context.use_privatekey(key)


def _stamp_of(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _use_files(context: SSL.Context, certificate_file: Path, private_key_file: Path) -> None:
    # OpenSSL would ask for the password of an encrypted key at the terminal, and wait.
    context.set_passwd_cb(lambda *_: b"")
    _load("certificate_file", context.use_certificate_chain_file, str(certificate_file))
    _load("private_key_file", context.use_privatekey_file, str(private_key_file))
    _load("private_key_file", context.check_privatekey)


def _load(setting: str, use: Any, *arguments: str) -> None:
    """Call one of OpenSSL's loaders; its errors say neither which file nor which setting."""
    try:
        use(*arguments)
    except SSL.Error:
        names = " ".join(arguments) or "does not fit certificate_file"
        raise StartError(f"[links] {setting}: cannot be used: {names}") from None

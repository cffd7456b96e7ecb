"""Which TLS sessions a link runs over."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import LinkLost, StartError
from tace.links.service import LOOK_AT_FILES_SECONDS
from tace.links.tls import ALPN, LinkTls
from tace.wire.peer import Ping, Pong
from tests.links.fakes import MemoryNetwork
from tests.links.logs import logged_lines
from tests.links.nodes import Book, MemoryNode
from tests.links.stranger import HOST, Stranger, dial, listen

NOW = datetime(2023, 11, 14, tzinfo=UTC)


def issue(
    name: str,
    issuer: tuple[x509.Certificate, EllipticCurvePrivateKey] | None = None,
    *,
    addresses: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    not_after: datetime = NOW + timedelta(days=36500),
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """A certificate and its key; self-signed (and a CA) without an issuer."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if addresses or names:
        shown: list[x509.GeneralName] = [x509.IPAddress(ip_address(one)) for one in addresses]
        shown += [x509.DNSName(one) for one in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(shown), critical=False)
    return builder.sign(key if issuer is None else issuer[1], SHA256()), key


def link_context(
    *,
    alpn: bytes | None = ALPN,
    version: int = SSL.TLS1_3_VERSION,
    certificate: tuple[x509.Certificate, EllipticCurvePrivateKey] | None = None,
    without_certificate: bool = False,
) -> SSL.Context:
    """A context as a link wants it, but for what is asked."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_max_proto_version(version)
    if not without_certificate:
        shown, key = certificate or issue("stranger")
        context.use_certificate(shown)
        context.use_privatekey(key)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    if alpn is not None:
        context.set_alpn_protos([alpn])
        context.set_alpn_select_callback(
            lambda _, offered: alpn if alpn in offered else SSL.NO_OVERLAPPING_PROTOCOLS
        )
    return context


class OpenNetworkTests(SynchronousTestCase):
    """Any certificate, but TLS 1.3, ALPN and a certificate."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.node = MemoryNode(self.network, Book(), 1).start({})

    def dialled_by(self, **context: Any) -> Stranger:
        stranger = dial(self.network, self.node.host, link_context(**context))
        self.network.settle()
        return stranger

    def test_good(self) -> None:
        """The node says hello."""
        self.assertEqual(len(self.dialled_by().messages), 1)

    def test_tls_1_2(self) -> None:
        """Too old."""
        stranger = self.dialled_by(version=SSL.TLS1_2_VERSION)
        self.assertFalse(stranger.handshaken)
        self.assertIsNotNone(stranger.lost)

    def test_wrong_alpn(self) -> None:
        """Some other protocol, or none at all: no hello is said, the connection is cut."""
        for alpn in (b"h2", None):
            stranger = self.dialled_by(alpn=alpn)
            self.assertEqual(stranger.messages, [])
            self.assertIsNotNone(stranger.lost)

    def test_wrong_alpn_of_a_listener(self) -> None:
        """The side that dialled looks as well."""
        for port, alpn in ((7001, b"h2"), (7002, None)):
            strangers: list[Stranger] = []
            listen(self.network, link_context(alpn=alpn), strangers.append, port)
            introduced = self.node.links.introduce(f"{HOST}:{port}")
            self.network.settle()
            self.failureResultOf(introduced, LinkLost)
            self.assertEqual(strangers[0].messages, [])

    def test_no_certificate(self) -> None:
        """Both sides show one."""
        stranger = self.dialled_by(without_certificate=True)
        self.assertEqual(stranger.messages, [])
        self.assertIsNotNone(stranger.lost)

    def test_dates_do_not_matter(self) -> None:
        """A clock that is years off must not keep a node out."""
        expired = issue("stranger", not_after=NOW - timedelta(hours=1))
        self.assertEqual(len(self.dialled_by(certificate=expired).messages), 1)

    def test_no_resumption(self) -> None:
        """A session that is offered again is made anew, with certificates and all.

        (A resumed session shows the listening side no certificate chain.)
        """
        context = link_context()
        stranger = dial(self.network, self.node.host, context)
        self.network.settle()
        sent = stranger.transport.transport.other.sent_bytes
        session = stranger.transport.getHandle().get_session()
        again = dial(self.network, self.node.host, context, session=session)
        self.network.settle()
        self.assertEqual(len(again.messages), 1)
        # A resumed handshake would be shorter by the certificate and its proof, 400 bytes.
        self.assertLess(abs(again.transport.transport.other.sent_bytes - sent), 50)


class PrivateNetworkTests(SynchronousTestCase):
    """Certificates that lead to the network's own CA, and name who was dialled."""

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.book = Book()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.ca = issue("ca")
        self.write("ca.pem", self.ca)

    def write(
        self, name: str, issued: tuple[x509.Certificate, EllipticCurvePrivateKey]
    ) -> tuple[Path, Path]:
        certificate, key = self.directory / name, self.directory / f"{name}.key"
        certificate.write_bytes(issued[0].public_bytes(Encoding.PEM))
        key.write_bytes(issued[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key

    def node(
        self, number: int, issued: tuple[x509.Certificate, EllipticCurvePrivateKey]
    ) -> MemoryNode:
        certificate, key = self.write(f"{number}.pem", issued)
        node = MemoryNode(
            self.network,
            self.book,
            number,
            ca_file=self.directory / "ca.pem",
            certificate_file=certificate,
            private_key_file=key,
        )
        return node.start({})

    def good(self, number: int) -> MemoryNode:
        return self.node(number, issue("node", self.ca, addresses=(f"10.0.0.{number}",)))

    def call(self, asker: MemoryNode, asked: MemoryNode) -> Any:
        call = asker.links.call(asked.node, Ping())
        self.network.settle()
        return call

    def test_good(self) -> None:
        """Two nodes of the network."""
        first, second = self.good(1), self.good(2)
        self.assertEqual(self.successResultOf(self.call(first, second)), Pong())

    def test_a_node_without_a_certificate_of_the_network(self) -> None:
        """Cannot come in, and is not talked to."""
        first = self.good(1)
        second = MemoryNode(self.network, self.book, 2).start({})
        self.failureResultOf(self.call(second, first), LinkLost)
        error = self.failureResultOf(self.call(first, second), LinkLost)
        self.assertIn("certificate verify failed", str(error.value))
        self.assertEqual(list(first.links.up()), [])

    def test_a_certificate_for_another_address(self) -> None:
        """The name that was dialled must be on it; whoever dials in need not be named."""
        first = self.good(1)
        second = self.node(2, issue("node", self.ca, addresses=("10.0.0.99",)))
        self.failureResultOf(self.call(first, second), LinkLost)
        self.assertEqual(self.successResultOf(self.call(second, first)), Pong())

    def test_an_address_found_under_a_name(self) -> None:
        """The certificate must be for the name; the address alone says nothing."""
        first = self.good(1)
        second = self.node(2, issue("node", self.ca, names=("two.example",)))
        for name, good in (("", False), ("other.example", False), ("two.example", True)):
            introduced = first.links.introduce(second.address, name=name)
            self.network.settle()
            if good:
                self.assertEqual(self.successResultOf(introduced).node_id, second.node)
            else:
                self.failureResultOf(introduced, LinkLost)

    def test_a_certificate_of_another_ca(self) -> None:
        """The same names, signed by somebody else."""
        first = self.good(1)
        second = self.node(2, issue("node", issue("ca"), addresses=("10.0.0.2",)))
        self.failureResultOf(self.call(first, second), LinkLost)
        self.failureResultOf(self.call(second, first), LinkLost)

    def test_an_expired_certificate(self) -> None:
        """In a private network dates count."""
        first = self.good(1)
        second = self.node(
            2,
            issue("node", self.ca, addresses=("10.0.0.2",), not_after=NOW - timedelta(hours=1)),
        )
        self.failureResultOf(self.call(first, second), LinkLost)

    def test_files_that_cannot_be_used(self) -> None:
        """One line that names the setting."""
        certificate, key = self.write("good.pem", issue("node", self.ca))
        _, other_key = self.write("other.pem", issue("node", self.ca))
        missing, garbage = self.directory / "missing", self.directory / "garbage"
        garbage.write_text("nothing of the kind")
        for setting, files in (
            ("ca_file", {"ca_file": garbage}),
            ("ca_file", {"ca_file": missing}),
            ("certificate_file", {"certificate_file": missing, "private_key_file": key}),
            ("private_key_file", {"certificate_file": certificate, "private_key_file": garbage}),
            ("private_key_file", {"certificate_file": certificate, "private_key_file": other_key}),
        ):
            error = self.assertRaises(StartError, LinkTls, 0.0, **files)
            self.assertTrue(str(error).startswith(f"[links] {setting}: "), str(error))

    def test_an_encrypted_key(self) -> None:
        """Is refused like any other bad file; nobody is asked for its password."""
        certificate, key = self.write("good.pem", issue("node", self.ca))
        _, secret = issue("node", self.ca)
        key.write_bytes(
            secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
        )
        error = self.assertRaises(
            StartError, LinkTls, 0.0, certificate_file=certificate, private_key_file=key
        )
        self.assertTrue(str(error).startswith("[links] private_key_file: "), str(error))

    def test_files_are_read_again_when_they_change(self) -> None:
        """New links show the new certificate; the one that is up goes on."""
        first, second = self.good(1), self.good(2)
        self.assertEqual(self.successResultOf(self.call(first, second)), Pong())
        before = self.shown_by(second)
        new = issue("node", self.ca, addresses=("10.0.0.2",))
        self.replace("2.pem", new)
        self.assertEqual(self.shown_by(second), before)
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), new[0].fingerprint(SHA256()))
        self.assertEqual(self.successResultOf(self.call(first, second)), Pong())
        self.assertEqual(first.heard.names(), ["up"])

    def test_files_that_changed_for_the_worse(self) -> None:
        """The old certificate stays, which is logged once for each change, by name."""
        first, second = self.good(1), self.good(2)
        before = self.shown_by(second)
        lines = logged_lines(self)
        (self.directory / "2.pem").write_text("half written")
        self.network.advance(10 * LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), before)
        (line,) = lines()
        self.assertIn("[links] certificate_file: cannot be used", line)
        self.assertEqual(second.counts.sums["links_certificate_failures",], 1)
        new = issue("node", self.ca, addresses=("10.0.0.2",))
        self.replace("2.pem", new)
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), new[0].fingerprint(SHA256()))
        self.assertEqual(self.successResultOf(self.call(first, second)), Pong())

    def test_half_of_a_pair(self) -> None:
        """A certificate without its key yet is not used; with its key it is."""
        second = self.good(2)
        before = self.shown_by(second)
        new = issue("node", self.ca, addresses=("10.0.0.2",))
        old_key = (self.directory / "2.pem.key").read_bytes()
        _, key = self.replace("2.pem", new)
        new_key = key.read_bytes()
        key.write_bytes(old_key)
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), before)
        key.write_bytes(new_key + b"\n")
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), new[0].fingerprint(SHA256()))

    def test_a_file_that_is_gone(self) -> None:
        """For a moment, while it is being replaced."""
        second = self.good(2)
        before = self.shown_by(second)
        (self.directory / "ca.pem").unlink()
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.shown_by(second), before)
        self.write("ca.pem", self.ca)
        self.network.advance(LOOK_AT_FILES_SECONDS)
        self.assertEqual(self.successResultOf(self.call(self.good(1), second)), Pong())

    def replace(
        self, name: str, issued: tuple[x509.Certificate, EllipticCurvePrivateKey]
    ) -> tuple[Path, Path]:
        """Other contents, and surely another time of change."""
        files = self.write(name, issued)
        for file in files:
            stat = file.stat()
            os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
        return files

    def shown_by(self, node: MemoryNode) -> bytes:
        """The fingerprint of what it shows to whoever connects now."""
        shown = issue("stranger", self.ca)
        stranger = dial(self.network, node.host, link_context(certificate=shown))
        self.network.settle()
        certificate = stranger.transport.getPeerCertificate().to_cryptography()
        stranger.transport.abortConnection()
        self.network.settle()
        fingerprint: bytes = certificate.fingerprint(SHA256())
        return fingerprint

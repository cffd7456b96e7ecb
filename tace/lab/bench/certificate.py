"""A certificate for loopback, for runs in which clients come over TLS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tace.lab.layout import LOOPBACK

TRUST_VARIABLE = "SSL_CERT_FILE"
"""OpenSSL takes its authorities from the file that this environment variable names."""


@dataclass(frozen=True, slots=True)
class LoopbackCertificate:
    """Two PEM files. The certificate is its own authority."""

    certificate: Path
    private_key: Path

    @classmethod
    def make(cls, directory: Path, now: datetime) -> LoopbackCertificate:
        """Valid for a day around ``now``; the files go into ``directory``."""
        key = generate_private_key(SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tace bench")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False
            )
            .sign(key, SHA256())
        )
        made = cls(directory / "certificate.pem", directory / "key.pem")
        made.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        made.private_key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return made

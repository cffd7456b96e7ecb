"""Certificates of a node's client side, made on the spot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

NOW = datetime(2023, 11, 14, tzinfo=UTC)


def issue(organization: str, *, password: bytes = b"") -> tuple[bytes, bytes]:
    """A self-signed certificate for ``localhost`` and its key, both PEM."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    how = BestAvailableEncryption(password) if password else NoEncryption()
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how),
    )


def install(folder: Path, organization: str) -> tuple[Path, Path]:
    """Write a fresh pair into the folder; their paths."""
    certificate, key = issue(organization)
    paths = (folder / "certificate.pem", folder / "key.pem")
    for path, content in zip(paths, (certificate, key), strict=True):
        path.write_bytes(content)
    return paths

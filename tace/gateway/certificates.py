"""The gateway's certificate, read again when its files change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IOpenSSLContextFactory, IReactorTime
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from tace.errors import StartError

LOOK_SECONDS = 2.0
_BEGIN = b"-----BEGIN CERTIFICATE-----"


@implementer(IOpenSSLContextFactory)
class ReloadingCertificate:
    """An OpenSSL context factory over two PEM files.

    A pair that cannot be read (half-written, mismatched) leaves the one before it in use.

    :raises StartError: the files cannot be used at the start.
    """

    _log = Logger()

    def __init__(self, certificate: Path, private_key: Path, clock: IReactorTime) -> None:
        self._files = (certificate, private_key)
        self._clock = clock
        self._looked_at = clock.seconds()
        try:
            self._stamps = self._stamp()
            self._options = self._read()
        except Exception as error:
            raise StartError(
                f"[gateway] certificate_file, private_key_file: cannot be used: {error}"
            ) from error

    def getContext(self) -> Any:
        """The context for the next connection."""
        now = self._clock.seconds()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._options.getContext()

    def _look(self) -> None:
        try:
            stamps = self._stamp()
            if stamps == self._stamps:
                return
            self._options = self._read()
            self._stamps = stamps
        except Exception as error:
            self._log.warn("the new certificate cannot be used: {error}", error=str(error))
        else:
            self._log.info("the gateway's certificate has been read again")

    def _stamp(self) -> list[tuple[int, int]]:
        return [(stat.st_mtime_ns, stat.st_size) for stat in (f.stat() for f in self._files)]

    def _read(self) -> CertificateOptions:
        chain_file, key_file = self._files
        blocks = [_BEGIN + part for part in chain_file.read_bytes().split(_BEGIN)[1:]]
        if not blocks:
            raise ValueError(f"{chain_file} holds no certificate")
        chain = [Certificate.loadPEM(block).original for block in blocks]
        pem = key_file.read_bytes()
        if b"ENCRYPTED" in pem:
            # OpenSSL would ask for the password at the terminal, and wait.
            raise ValueError(f"{key_file} is encrypted")
        key = KeyPair.load(pem, format=1).original
        options = CertificateOptions(
            privateKey=key,
            certificate=chain[0],
            extraCertChain=chain[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[b"h2", b"http/1.1"],
        )
        context = options.getContext()
        context.check_privatekey()
        return options

"""Serves the web client, with what keeps a browser from running anything else."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource

from tace.gateway.web_files import INDEX, WebFile

_LOCAL = "http://localhost:* ws://localhost:* http://127.0.0.1:* ws://127.0.0.1:*"
"""Nodes on the person's own machine. An IPv6 address cannot be written in a policy (CSP level 3,
section 2.3.1: a host has no brackets)."""
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "font-src 'self'",
        "manifest-src 'self'",
        f"connect-src 'self' https: wss: {_LOCAL}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types tace",
    )
)
_UNUSED_FEATURES = (
    "accelerometer",
    "browsing-topics",
    "display-capture",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
PAGE_HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(
        ("camera=(self)", *(f"{feature}=()" for feature in _UNUSED_FEATURES))
    ),
}
STRICT_TRANSPORT = "max-age=31536000"
FOR_EVER = "public, max-age=31536000, immutable"


def set_page_headers(request: HttpRequest) -> None:
    """What every answer of the site carries, whatever becomes of the request."""
    for name, value in PAGE_HEADERS.items():
        request.setHeader(name, value)
    if request.isSecure() and _is_a_domain(request.getRequestHostname()):
        request.setHeader("strict-transport-security", STRICT_TRANSPORT)


def _is_a_domain(host: bytes) -> bool:
    """Not this machine, whose other ports would be forced to TLS with it, and not an address."""
    name = host.decode("latin-1").strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost") or "." not in name:
        return False
    try:
        ip_address(name)
    except ValueError:
        return True
    return False


def _takes_gzip(accepted: str) -> bool:
    """What ``Accept-Encoding`` says (RFC 9110, 12.5.3): ``br, gzip;q=0.5`` yes, ``gzip;q=0`` no."""
    for item in accepted.lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding in ("gzip", "*"):
            return weight.strip("0.") != "" or weight == ""
    return False


class WebClient(Resource):
    """The built files: ``index.html`` at ``/``, the others at their names.

    :param files: by name.
    """

    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def __init__(self, files: Mapping[str, WebFile]) -> None:
        Resource.__init__(self)
        self._files = files

    def has(self, path: bytes) -> bool:
        return self._find(path) is not None

    def render(self, request: HttpRequest) -> bytes:
        file = self._find(request.path)
        # The site asks only for what it has.
        assert file is not None
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(405)
            request.setHeader("allow", "GET, HEAD")
            return b""
        content, tag = file.content, f'"{file.sha256[:32]}"'
        request.setHeader("cache-control", FOR_EVER if file.is_hashed else "no-cache")
        if file.compressed:
            request.setHeader("vary", "accept-encoding")
            if _takes_gzip(request.getHeader("accept-encoding") or ""):
                content, tag = file.compressed, f'"{file.sha256[:32]}-gzip"'
                request.setHeader("content-encoding", "gzip")
        # Twisted answers 304 itself where the client has this.
        if request.setETag(tag.encode()):
            request.responseHeaders.removeHeader("content-encoding")
            return b""
        request.setHeader("content-type", file.content_type)
        request.setHeader("content-length", str(len(content)))
        return b"" if request.method == b"HEAD" else content

    def _find(self, path: bytes) -> WebFile | None:
        """By the very bytes that were asked for: nothing is decoded, nothing can lead elsewhere."""
        try:
            name = path[1:].decode("ascii")
        except UnicodeDecodeError:
            return None
        return self._files.get(name or INDEX)

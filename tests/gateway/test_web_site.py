"""The web client as it is served."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from tace.gateway.sessions import ClientSessions
from tace.gateway.web_files import WebFile, installed_files
from tests.gateway.dist import FILES, SCRIPT, write_dist
from tests.gateway.in_memory import Answer, Connection, services, site_of
from tests.network import MemoryNetwork

ZIPPED = {"Accept-Encoding": "gzip, deflate, br"}


class WebSiteTestCase(SynchronousTestCase):
    """A site with a made-up build."""

    def setUp(self) -> None:
        self.files = installed_files(write_dist(Path(self.mktemp())))
        self.serve(self.files)

    def serve(self, files: Mapping[str, WebFile] | None) -> None:
        network = MemoryNetwork()
        sessions = ClientSessions(services(network, network.node("n0")), 8)
        self.site = site_of(sessions, Clock(), files)

    def ask(
        self, path: str, fields: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Answer:
        return Connection(self.site).ask(method, path, fields)


class ServingTests(WebSiteTestCase):
    """Which bytes, and how long they may be kept."""

    def test_every_file(self) -> None:
        """At its name, byte for byte, by its length; the page also at the root."""
        for name, content in FILES.items():
            answer = self.ask(f"/{name}")
            self.assertEqual((answer.status, answer.body), (200, content), name)
            self.assertEqual(answer.fields["content-length"], str(len(content)))
            self.assertEqual(answer.fields["content-type"], self.files[name].content_type)
        self.assertEqual(self.ask("/").body, FILES["index.html"])
        self.assertEqual(self.ask("/?a=b").body, FILES["index.html"])
        self.assertEqual(self.ask("/files.json").body, self.files["files.json"].content)

    def test_caching(self) -> None:
        """Names with a hash for ever; the others are asked for each time."""
        for_ever = "public, max-age=31536000, immutable"
        self.assertEqual(self.ask("/assets/app-1f.js").fields["cache-control"], for_ever)
        for path in ("/", "/index.html", "/sw.js", "/manifest.webmanifest", "/files.json"):
            self.assertEqual(self.ask(path).fields["cache-control"], "no-cache")

    def test_asked_again(self) -> None:
        """304 without a body while it is the same; each encoding has a tag of its own."""
        plain, zipped = self.ask("/"), self.ask("/", ZIPPED)
        self.assertNotEqual(plain.fields["etag"], zipped.fields["etag"])
        for fields, tag in (({}, plain.fields["etag"]), (ZIPPED, zipped.fields["etag"])):
            again = self.ask("/", {**fields, "If-None-Match": tag})
            self.assertEqual((again.status, again.body), (304, b""))
            self.assertEqual(again.fields["etag"], tag)
            self.assertEqual(again.fields["cache-control"], "no-cache")
            self.assertIn("content-security-policy", again.fields)
        self.assertEqual(self.ask("/", {"If-None-Match": '"other"'}).status, 200)
        changed = installed_files(write_dist(Path(self.mktemp()), {**FILES, "index.html": b"<p>"}))
        self.serve(changed)
        self.assertEqual(self.ask("/", {"If-None-Match": plain.fields["etag"]}).body, b"<p>")

    def test_compression(self) -> None:
        """For who can read it, and where there is something to gain."""
        for encodings, wanted in (
            ("gzip", True),
            ("br, gzip;q=0.5", True),
            ("GZIP", True),
            ("*", True),
            ("gzip;q=0", False),
            ("gzip; q=0.000, br", False),
            ("br", False),
            ("x-gzipped", False),
            ("", False),
        ):
            answer = self.ask("/assets/app-1f.js", {"Accept-Encoding": encodings})
            self.assertEqual("content-encoding" in answer.fields, wanted, encodings)
            self.assertEqual(answer.fields["vary"], "accept-encoding")
            content = gzip.decompress(answer.body) if wanted else answer.body
            self.assertEqual(content, SCRIPT)
        small = self.ask("/sw.js", ZIPPED)
        self.assertNotIn("content-encoding", small.fields)

    def test_head(self) -> None:
        """The same fields, no body."""
        for fields in ({}, ZIPPED):
            get, head = self.ask("/", fields), self.ask("/", fields, "HEAD")
            self.assertEqual((head.status, head.body), (200, b""))
            without_date = {n: v for n, v in get.fields.items() if n != "date"}
            self.assertEqual({n: v for n, v in head.fields.items() if n != "date"}, without_date)

    def test_other_methods(self) -> None:
        """405."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = self.ask("/", method=method)
            self.assertEqual((answer.status, answer.fields["allow"]), (405, "GET, HEAD"))

    def test_nothing_else(self) -> None:
        """Names are compared as they are written: no path leads out of the table."""
        for path in (
            "/../setup.cfg",
            "/assets/../index.html",
            "/assets/",
            "/assets",
            "//index.html",
            "/%69ndex.html",
            "/index.html/",
            "/INDEX.HTML",
            "/assets/app-1f.js.gz",
            "/%C3%A4",
            "/%2e%2e/setup.cfg",
        ):
            answer = self.ask(path)
            self.assertEqual(answer.status, 404, path)
            self.assertEqual(answer.body, b"Nothing is here.\n")

    def test_not_built(self) -> None:
        """The node says so, in words."""
        self.serve({})
        self.assertIn(b"was not built", self.ask("/").body)
        self.assertEqual(self.ask("/index.html").status, 404)

    def test_not_wanted(self) -> None:
        """With the setting off there is a line for a person, and the clients' side."""
        self.serve(None)
        answer = self.ask("/")
        self.assertNotIn(b"built", answer.body)
        self.assertIn(b"/v1/socket", answer.body)
        self.assertEqual(self.ask("/v1/session", method="POST").status, 200)


class SecurityTests(WebSiteTestCase):
    """What keeps a browser from running anything else."""

    def test_on_every_answer(self) -> None:
        """Pages, files, what is not there, what is not allowed."""
        answers = [
            self.ask("/"),
            self.ask("/assets/app-1f.js"),
            self.ask("/none"),
            self.ask("/", method="POST"),
            self.ask("/", method="HEAD"),
        ]
        self.serve({})
        answers.append(self.ask("/"))
        for answer in answers:
            self.assertEqual(answer.fields["x-content-type-options"], "nosniff")
            self.assertEqual(answer.fields["referrer-policy"], "no-referrer")
            self.assertEqual(answer.fields["cross-origin-opener-policy"], "same-origin")
            self.assertEqual(answer.fields["cross-origin-resource-policy"], "same-origin")
            self.assertIn("camera=(self)", answer.fields["permissions-policy"])
            self.assertIn("microphone=()", answer.fields["permissions-policy"])
            self.assertIn("default-src 'none'", answer.fields["content-security-policy"])
            self.assertNotIn("access-control-allow-origin", answer.fields)

    def test_the_policy(self) -> None:
        """Nothing but what is said; no inline script, no eval, no frame."""
        header = self.ask("/").fields["content-security-policy"]
        policy = dict(part.split(" ", 1) for part in header.split("; "))
        self.assertEqual(policy["default-src"], "'none'")
        self.assertEqual(policy["script-src"], "'self'")
        self.assertEqual(policy["style-src"], "'self'")
        self.assertEqual(policy["img-src"], "'self' blob:")
        self.assertEqual(policy["require-trusted-types-for"], "'script'")
        self.assertEqual(policy["trusted-types"], "tace")
        self.assertEqual(policy["frame-ancestors"], "'none'")
        self.assertEqual(
            policy["connect-src"].split(),
            [
                "'self'",
                "https:",
                "wss:",
                "http://localhost:*",
                "ws://localhost:*",
                "http://127.0.0.1:*",
                "ws://127.0.0.1:*",
            ],
        )
        self.assertNotIn("unsafe", header)

    def test_a_page_that_fails(self) -> None:
        """Carries them too."""
        self.patch(WebFile, "is_hashed", property(lambda _: 1 // 0))
        answer = self.ask("/")
        self.assertEqual(answer.status, 500)
        self.assertIn("content-security-policy", answer.fields)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_strict_transport(self) -> None:
        """Only where TLS was used, and only for a name that is a node's own."""

        def strict(host: str, secure: bool) -> bool:
            connection = Connection(self.site)
            if secure:
                alsoProvides(connection.transport, ISSLTransport)
            connection.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = connection.answer()
            assert answer is not None
            self.assertEqual(answer.status, 200)
            return "strict-transport-security" in answer.fields

        self.assertTrue(strict("node.example", True))
        self.assertTrue(strict("node.example:8443", True))
        self.assertFalse(strict("node.example", False))
        for host in ("localhost:8443", "127.0.0.1", "[::1]:8443", "box", "a.localhost"):
            self.assertFalse(strict(host, True), host)

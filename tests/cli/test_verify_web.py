"""``tace verify-web``: comparing with a made-up build, over memory and over real sockets."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner
from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair, optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS
from twisted.web.iweb import IPolicyForHTTPS
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from tace.cli import verify_web
from tace.cli.main import main
from tace.cli.verify_web import Absent, State, Unfetched, Verdict, WebFetcher, show, verify
from tace.client.address import NodeAddress
from tace.gateway.web_files import WebFile, installed_files
from tace.gateway.web_site import WebClient
from tests.gateway.certificates import issue
from tests.gateway.dist import FILES, manifest, write_dist
from tests.processes import tace

reactor: Any = installed_reactor


class Served:
    """A node's files, fetched without a network."""

    def __init__(self, files: dict[str, bytes], version: str = "1.0") -> None:
        self.files = {**files, "files.json": manifest(files, version), "": files["index.html"]}
        self.silent: set[str] = set()

    async def __call__(self, path: str) -> bytes:
        name = path.removeprefix("/")
        if name in self.silent:
            raise Unfetched("no answer")
        if name not in self.files:
            raise Absent(path)
        return self.files[name]


class Comparing(SynchronousTestCase):
    """The verdict."""

    def setUp(self) -> None:
        self.installed = installed_files(write_dist(Path(self.mktemp())))
        self.served = Served(FILES)

    def verdict(self, installed: dict[str, WebFile] | None = None) -> Verdict:
        with_these = self.installed if installed is None else installed
        return self.successResultOf(Deferred.fromCoroutine(verify(self.served, with_these)))

    def test_the_same(self) -> None:
        """Every file, and the page at the bare address as well."""
        self.assertEqual(self.verdict(), Verdict(State.SAME, (), "1.0", len(FILES) + 1))

    def test_one_byte(self) -> None:
        """In whichever file it is, also in the page that only the bare address shows."""
        for name in ["", *FILES]:
            self.served = Served(FILES)
            self.served.files[name] += b"\n"
            verdict = self.verdict()
            self.assertIs(verdict.state, State.DIFFERS)
            self.assertEqual(verdict.details, (f"/{name}: has other content",))

    def test_a_list_that_was_changed_as_well(self) -> None:
        """The package's own list counts, not what the node says its files are."""
        self.served = Served({**FILES, "sw.js": b"something else"})
        self.assertEqual(self.verdict().details, ("/sw.js: has other content",))

    def test_missing(self) -> None:
        """A file that is not there."""
        del self.served.files["sw.js"]
        self.assertEqual(self.verdict().details, ("/sw.js: is missing",))
        self.assertIs(self.verdict().state, State.DIFFERS)

    def test_more_than_there_should_be(self) -> None:
        """Named by the node's list, or by its page."""
        self.served = Served({**FILES, "assets/extra.js": b"1"})
        self.assertEqual(self.verdict().details, ("assets/extra.js: is not part of this package",))
        page = b"<script src=/assets/other.js></script><link href='./sw.js'>"
        self.served = Served({**FILES, "index.html": page})
        self.assertEqual(
            self.verdict().details,
            (
                "/: has other content",
                "the page names /assets/other.js, which is not part of this package",
                "/index.html: has other content",
            ),
        )

    def test_another_version(self) -> None:
        """Nothing is said about its files."""
        self.served = Served(FILES, "1.1")
        verdict = self.verdict()
        self.assertIs(verdict.state, State.CANNOT)
        self.assertEqual(verdict.details, ("the node serves version 1.1, this package has 1.0",))

    def test_no_answer(self) -> None:
        """Is no verdict; but what differs counts all the same."""
        self.served.silent = {"sw.js"}
        self.assertIs(self.verdict().state, State.CANNOT)
        self.assertEqual(self.verdict().details, ("/sw.js: no answer",))
        self.served.files["icon.svg"] = b""
        self.assertIs(self.verdict().state, State.DIFFERS)
        self.served.silent = {"files.json"}
        self.assertEqual(self.verdict(), Verdict(State.CANNOT, ("no answer",)))

    def test_a_node_without_a_web_client(self) -> None:
        """Or with something else for a list."""
        del self.served.files["files.json"]
        self.assertIs(self.verdict().state, State.CANNOT)
        self.served.files["files.json"] = b"<html>"
        self.assertEqual(self.verdict().details, ("the node's files.json is no JSON",))

    def test_a_package_that_cannot_judge(self) -> None:
        """Installed without a build, or changed since."""
        self.assertIn("without a web client", self.verdict({}).details[0])
        changed = dict(self.installed)
        del changed["sw.js"]
        self.assertIn("damaged", self.verdict(changed).details[0])


class Printing(SynchronousTestCase):
    """What a person sees, and a program."""

    def test_every_verdict(self) -> None:
        """One word at the beginning, an exit status each; a node's text steers no terminal."""
        printed: list[str] = []
        self.patch(click, "echo", printed.append)
        address = NodeAddress.parse("https://node.example")
        show(address, Verdict(State.SAME, (), "1.0", 3))
        show(address, Verdict(State.DIFFERS, tuple("abc\x1b[2J" for _ in range(25)), "1.0"))
        show(address, Verdict(State.CANNOT, ("no answer",)))
        self.assertTrue(printed[0].startswith("same: https://node.example "))
        self.assertTrue(printed[1].startswith("DIFFERS: https://node.example "))
        self.assertEqual(printed[3], "  abc[2J")
        self.assertIn("  and 5 more", printed)
        self.assertEqual(printed[-2:], ["cannot be compared: https://node.example", "  no answer"])
        self.assertEqual([verify_web.EXIT_STATUS[state] for state in State], [0, 1, 2])

    def test_not_an_address(self) -> None:
        """Wrong usage."""
        result = CliRunner().invoke(main, ["verify-web", "ftp://node"])
        self.assertEqual(result.exit_code, 2)
        self.assertIn("begins with http:// or https://", result.stderr)


class Odd(Resource):
    """Answers as the test likes."""

    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def render(self, request: Any) -> Any:
        match request.path:
            case b"/large":
                return bytes(verify_web.MAX_FILE_BYTES + 1)
            case b"/bomb":
                request.setHeader("content-encoding", "gzip")
                return gzip.compress(bytes(verify_web.MAX_FILE_BYTES + 1))
            case b"/no-gzip":
                request.setHeader("content-encoding", "gzip")
                return b"plain"
            case b"/brotli":
                request.setHeader("content-encoding", "br")
                return b"plain"
            case b"/elsewhere":
                request.redirect(b"/large")
                return b""
            case b"/broken":
                request.setHeader("content-length", "10")
                request.write(b"12345")
                request.transport.loseConnection()
                return NOT_DONE_YET
            case b"/never":
                return NOT_DONE_YET
        request.setResponseCode(404)
        return b""


@implementer(IPolicyForHTTPS)
class Trusting:
    """Trusts one certificate, for localhost."""

    def __init__(self, trusted: Certificate) -> None:
        self._trusted = trusted

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return optionsForClientTLS(hostname.decode("ascii"), self._trusted)


class Fetching(TestCase):
    """From real sockets on loopback."""

    timeout = 60

    def setUp(self) -> None:
        self.files = installed_files(write_dist(Path(self.mktemp())))

    def serve(self, resource: Resource, certificate: CertificateOptions | None = None) -> int:
        site = Site(resource)
        if certificate is None:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
        else:
            port = reactor.listenSSL(0, site, certificate, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def fetcher(self, port: int, policy: Any = None, scheme: str = "http") -> WebFetcher:
        host = "127.0.0.1" if scheme == "http" else "localhost"
        return WebFetcher(reactor, NodeAddress.parse(f"{scheme}://{host}:{port}"), policy)

    async def test_a_whole_web_client(self) -> None:
        """As a node serves it, compressed where it pays."""
        fetcher = self.fetcher(self.serve(_Serving(self.files)))
        verdict = await verify(fetcher, self.files)
        self.assertEqual(verdict, Verdict(State.SAME, (), "1.0", len(FILES) + 1))

    async def test_a_compressed_file_that_is_another(self) -> None:
        """What browsers get is what is compared."""
        name = "assets/app-1f.js"
        file = self.files[name]
        other = WebFile(name, file.content, gzip.compress(b"evil()"), file.sha256)
        fetcher = self.fetcher(self.serve(_Serving({**self.files, name: other})))
        verdict = await verify(fetcher, self.files)
        self.assertEqual(verdict.details, (f"/{name}: has other content",))

    async def test_answers_that_cannot_be_used(self) -> None:
        """Each is refused with a reason; none is taken in without a bound."""
        self.patch(verify_web, "MAX_FILE_BYTES", 100_000)
        self.patch(verify_web, "FILE_SECONDS", 0.5)
        fetcher = self.fetcher(self.serve(Odd()))
        for path, reason in (
            ("/large", "larger than"),
            ("/bomb", "too large"),
            ("/no-gzip", "says gzip"),
            ("/brotli", "encoding"),
            ("/elsewhere", "status 302"),
            ("/broken", "broke"),
            ("/never", "no answer within"),
        ):
            error = await self.assertFailure(_deferred(fetcher(path)), Unfetched)
            self.assertIn(reason, str(error), path)
        await self.assertFailure(_deferred(fetcher("/none")), Absent)

    async def test_nobody_there(self) -> None:
        """Port 1 of loopback: nobody listens there."""
        error = await self.assertFailure(_deferred(self.fetcher(1)("/")), Unfetched)
        self.assertIn("http://127.0.0.1:1: ", str(error))

    async def test_certificates(self) -> None:
        """One that is trusted works; one that is not ends it before anything is asked."""
        pem, key = issue("node")
        trusted = Certificate.loadPEM(pem)
        options = CertificateOptions(
            privateKey=KeyPair.load(key, format=1).original, certificate=trusted.original
        )
        port = self.serve(_Serving(self.files), options)
        verdict = await verify(self.fetcher(port, Trusting(trusted), "https"), self.files)
        self.assertIs(verdict.state, State.SAME)
        for policy in (None, BrowserLikePolicyForHTTPS()):
            verdict = await verify(self.fetcher(port, policy, "https"), self.files)
            self.assertIs(verdict.state, State.CANNOT)
            self.assertIn("certificate cannot be verified", verdict.details[0])

    async def test_the_command(self) -> None:
        """As a program: JSON on request, and the exit status is the verdict's."""
        url = "http://127.0.0.1:1"
        ended = await tace(reactor, ".", "verify-web", url, "--json").ended
        self.assertEqual((ended.status, ended.errors), (2, ""))
        told = json.loads(ended.output)
        self.assertEqual(told["verdict"], "cannot be compared")
        ended = await tace(reactor, ".", "verify-web", url).ended
        self.assertTrue(ended.output.startswith(f"cannot be compared: {url}\n  "))


class _Serving(Resource):
    """The node's own resource, which is asked only for what it has."""

    isLeaf = True  # noqa: N815 - Twisted reads it by this name

    def __init__(self, files: dict[str, WebFile]) -> None:
        Resource.__init__(self)
        self._web = WebClient(files)

    def render(self, request: Any) -> Any:
        return self._web.render(request)


def _deferred(fetching: Any) -> Any:
    return Deferred.fromCoroutine(fetching)

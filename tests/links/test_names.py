"""Seeds that DNS tells: what records mean, and asking a real name server for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import PredicateResult, capturedLogs
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.error import DNSNameError, DNSQueryTimeoutError, DNSServerError
from twisted.names.server import DNSServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace.errors import NameFailed
from tace.links.names import (
    LOOK_UP_SECONDS,
    MAX_SERVERS,
    MAX_SERVICES,
    MAX_TARGETS,
    MAX_TEXTS,
    DnsNames,
    Service,
    Target,
    in_order,
    make_resolver,
    read_text,
    seed_at,
    system_servers,
    targets_of,
)
from tace.observe.datagrams import DatagramLines
from tace.seams import NamedSeed

ID = "ab" * 32
NODE = bytes.fromhex(ID)


class OrderTests(SynchronousTestCase):
    """RFC 2782."""

    def test_priorities(self) -> None:
        """The lowest first, whatever the weights."""
        services = [Service(p, 100 * p, f"h{p}", 1) for p in (30, 10, 20)]
        for seed in range(20):
            found = in_order(services, Random(seed))
            self.assertEqual([it.priority for it in found], [10, 20, 30])

    def test_weights(self) -> None:
        """In proportion; one of weight 0 comes first now and then."""
        services = [Service(0, 0, "none", 1), Service(0, 30, "some", 1), Service(0, 70, "most", 1)]
        random = Random(5)
        firsts = Counter(in_order(services, random)[0].target for _ in range(3000))
        self.assertLess(abs(firsts["most"] / 3000 - 0.7), 0.04)
        self.assertLess(abs(firsts["some"] / 3000 - 0.3), 0.04)
        self.assertLess(firsts["none"], 100)
        self.assertGreater(firsts["none"], 0)

    @given(
        st.lists(
            st.builds(
                Service,
                st.integers(0, 65535),
                st.integers(0, 65535),
                st.text("ab.", max_size=3),
                st.integers(0, 65535),
            ),
            max_size=12,
        ),
        st.randoms(use_true_random=False),
    )
    def test_nobody_is_lost(self, services: list[Service], random: Random) -> None:
        """An order is an order: all of them, priorities rising."""
        found = in_order(services, random)
        assert Counter(found) == Counter(services)
        priorities = [it.priority for it in found]
        assert priorities == sorted(priorities)


class TextTests(SynchronousTestCase):
    """``id=... host=...``"""

    def test_well_formed(self) -> None:
        """In any order, with words that are not known, in any case, with a closing dot."""
        self.assertEqual(read_text(f"id={ID} host=A.Example."), Target("a.example", 0, NODE))
        self.assertEqual(
            read_text(f"v=1 port=6512 host=a.example note=x id={ID.upper()}"),
            Target("a.example", 6512, NODE),
        )

    def test_malformed(self) -> None:
        """Says nothing."""
        for text in (
            "",
            "id=",
            f"id={ID}",
            "host=a.example",
            f"id={ID[:-2]} host=a.example",
            f"id={ID}00 host=a.example",
            f"id={ID} host=a.example port=x",
            f"id={ID} host=a.example port=123456",
            f"id={ID} host=",
            "v=spf1 -all",
        ):
            self.assertIsNone(read_text(text), text)

    @given(st.text(max_size=200))
    def test_anything(self, text: str) -> None:
        """Never an accident."""
        found = read_text(text)
        assert found is None or found.node is not None


class TargetTests(SynchronousTestCase):
    """SRV and TXT together."""

    def targets(self, services: list[Service], *texts: str) -> list[Target]:
        return targets_of(services, texts, Random(1))

    def test_ids_go_to_their_targets(self) -> None:
        """By host, and by port where one is said; the others have none."""
        services = [Service(1, 0, "A.example.", 1), Service(2, 0, "a.example", 2)]
        services.append(Service(3, 0, "b.example", 1))
        self.assertEqual(
            self.targets(services, f"id={ID} host=a.example port=2", f"id={ID} host=c.example"),
            [
                Target("a.example", 1, None),
                Target("a.example", 2, NODE),
                Target("b.example", 1, None),
            ],
        )

    def test_two_ids_at_one_place(self) -> None:
        """While a node is being replaced: both are tried."""
        other = "cd" * 32
        found = self.targets(
            [Service(1, 0, "a.example", 1)], f"id={ID} host=a.example", f"id={other} host=a.example"
        )
        self.assertEqual([it.node for it in found], [NODE, bytes.fromhex(other)])

    def test_a_service_that_is_not_there(self) -> None:
        """A target of a single dot, or no port."""
        self.assertEqual(self.targets([Service(0, 0, ".", 0), Service(0, 0, "a", 0)]), [])

    def test_bounds(self) -> None:
        """However many there are."""
        many = [Service(0, 0, f"h{n}.example", 1) for n in range(3 * MAX_SERVICES)]
        self.assertEqual(len(self.targets(many)), MAX_TARGETS)
        texts = ["nonsense"] * MAX_TEXTS + [f"id={ID} host=h.example"]
        found = self.targets([Service(0, 0, "h.example", 1)], *texts)
        self.assertEqual(found, [Target("h.example", 1, None)])

    def test_seeds(self) -> None:
        """What is dialled, and what it is called."""
        self.assertEqual(
            seed_at(Target("a.example", 1, NODE), "::1"),
            NamedSeed("a.example:1", f"[::1]:1#{ID}"),
        )
        self.assertEqual(
            seed_at(Target("a.example", 1, None), "10.0.0.1"),
            NamedSeed("a.example:1", "10.0.0.1:1"),
        )


def srv(priority: int, target: str, port: int = 6512) -> dns.Record_SRV:
    return dns.Record_SRV(priority=priority, weight=0, port=port, target=target)


class FakeResolver:
    """Answers from a table; what is not there is no name."""

    def __init__(self, **records: Any) -> None:
        self.records = records

    def _answer(self, kind: str) -> Deferred[Any]:
        found = self.records.get(kind, [])
        if isinstance(found, Exception):
            return fail(found)
        if isinstance(found, Deferred):
            return found
        return succeed(([dns.RRHeader(type=it.TYPE, payload=it) for it in found], [], []))

    def lookupService(self, name: str) -> Deferred[Any]:
        return self._answer("srv")

    def lookupText(self, name: str) -> Deferred[Any]:
        return self._answer("txt")

    def lookupAddress(self, name: str) -> Deferred[Any]:
        return self._answer("a")

    def lookupIPV6Address(self, name: str) -> Deferred[Any]:
        return self._answer("aaaa")


class LookUpTests(SynchronousTestCase):
    """A look-up with a resolver that says what the test wants."""

    def setUp(self) -> None:
        self.clock = Clock()

    def look_up(self, **records: Any) -> Deferred[Any]:
        return DnsNames(lambda: FakeResolver(**records), self.clock, Random(1)).look_up("x.example")

    def fails(self, words: str, **records: Any) -> None:
        error = self.failureResultOf(self.look_up(**records), NameFailed)
        self.assertIn(words, str(error.value))

    def test_addresses_of_both_kinds(self) -> None:
        """At most two of each."""
        a = [dns.Record_A(address=f"10.0.0.{n}") for n in range(1, 9)]
        aaaa = [dns.Record_AAAA(address=f"fd00::{n}") for n in range(1, 9)]
        found = self.successResultOf(self.look_up(srv=[srv(1, "h.example")], a=a, aaaa=aaaa))
        self.assertEqual(
            [seed.address for seed in found],
            ["10.0.0.1:6512", "10.0.0.2:6512", "[fd00::1]:6512", "[fd00::2]:6512"],
        )

    def test_one_kind_may_fail(self) -> None:
        a = [dns.Record_A(address="10.0.0.1")]
        found = self.successResultOf(
            self.look_up(srv=[srv(1, "h.example")], a=a, aaaa=DNSServerError())
        )
        self.assertEqual(found, [NamedSeed("h.example:6512", "10.0.0.1:6512")])

    def test_a_target_that_is_an_address(self) -> None:
        """Against the RFC, and understood."""
        found = self.successResultOf(self.look_up(srv=[srv(1, "10.9.9.9")]))
        self.assertEqual(found, [NamedSeed("10.9.9.9:6512", "10.9.9.9:6512")])

    def test_what_fails_says_why(self) -> None:
        one = [srv(1, "h.example")]
        self.fails("there is no name _tace._tcp.x.example", srv=DNSNameError())
        self.fails("DNSServerError", srv=DNSServerError())
        self.fails("in time", srv=DNSQueryTimeoutError(1))
        self.fails("names a place", srv=[])
        self.fails("no address of h.example", srv=one)
        self.fails("no address of h.example", srv=one, a=DNSNameError(), aaaa=DNSNameError())

    def test_ids_that_are_kept_back(self) -> None:
        """Are not taken for none."""
        a = [dns.Record_A(address="10.0.0.1")]
        self.fails("in time", srv=[srv(1, "h")], a=a, txt=DNSQueryTimeoutError(1))

    def test_a_string_in_pieces(self) -> None:
        """Is joined; one that is too long, or no ASCII, says nothing."""
        a = [dns.Record_A(address="10.0.0.1")]
        text = f"id={ID} host=h.example".encode()
        for texts, pinned in (
            ([dns.Record_TXT(text[:20], text[20:])], True),
            ([dns.Record_TXT(text, b" " * 255, b" " * 255)], False),
            ([dns.Record_TXT(b"\xff\xfe"), dns.Record_TXT(text)], True),
        ):
            (seed,) = self.successResultOf(self.look_up(srv=[srv(1, "h.example")], a=a, txt=texts))
            self.assertEqual(seed.address.endswith(ID), pinned)

    def test_a_resolver_that_never_answers(self) -> None:
        """Is not waited for."""
        never: Deferred[Any] = Deferred()
        found = self.look_up(srv=never)
        self.clock.advance(LOOK_UP_SECONDS)
        self.assertIn("no answer within", str(self.failureResultOf(found, NameFailed).value))

    def test_no_name_server(self) -> None:
        def none() -> FakeResolver:
            raise PermissionError("resolv.conf")

        found = DnsNames(none, self.clock, Random(1)).look_up("x.example")
        self.assertIn("no name server", str(self.failureResultOf(found, NameFailed).value))


class ServersTests(SynchronousTestCase):
    """Which servers are asked."""

    def file(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def test_resolv_conf(self) -> None:
        """The lines that name a server, at most four; else this machine's."""
        text = "# a\ndomain x\nnameserver 10.0.0.1\nnameserver ::1 \nnameserver junk\nnameserver\n"
        path = self.file(text)
        self.assertEqual(system_servers(path), [("10.0.0.1", 53), ("::1", 53)])
        many = self.file("".join(f"nameserver 10.0.0.{n}\n" for n in range(1, 9)))
        self.assertEqual(len(system_servers(many)), MAX_SERVERS)
        self.assertEqual(system_servers(self.file("")), [("127.0.0.1", 53)])
        self.assertEqual(system_servers(path.with_name("none")), [("127.0.0.1", 53)])

    def test_the_settings_come_first(self) -> None:
        made: Any = make_resolver(Clock(), ["10.0.0.1", "[::1]:5353", "::2", "10.0.0.2:99"])()
        self.assertEqual(
            made.servers, [("10.0.0.1", 53), ("::1", 5353), ("::2", 53), ("10.0.0.2", 99)]
        )


class Zone(FileAuthority):
    """``net.example``, as a name server of the test serves it."""

    soa: Any
    records: Any

    def loadFile(self, filename: object) -> None:
        self.soa = (
            b"net.example",
            dns.Record_SOA(mname=b"net.example", rname=b"x.net.example", minimum=60, ttl=60),
        )
        text = f"id={ID} host=h1.net.example".encode()
        self.records = {
            b"net.example": [self.soa[1]],
            b"_tace._tcp.net.example": [
                dns.Record_SRV(10, 0, 6512, b"h1.net.example", ttl=60),
                dns.Record_SRV(20, 0, 7000, b"h2.net.example", ttl=60),
                dns.Record_TXT(text, ttl=60),
            ],
            b"h1.net.example": [dns.Record_A("127.0.0.7", ttl=60)],
            b"h2.net.example": [dns.Record_AAAA("::1", ttl=60)],
            b"_tace._tcp.big.net.example": [
                *(dns.Record_SRV(n, 0, 6512, b"h%d.net.example" % n, ttl=60) for n in range(1, 40)),
                *(dns.Record_TXT(b"x" * 200, ttl=60) for n in range(20)),
            ],
        }


class NameServerTests(TestCase):
    """A real name server on this machine, over UDP and TCP."""

    def setUp(self) -> None:
        factory = DNSServerFactory(authorities=[Zone("")])
        factory.noisy = False
        real: Any = reactor
        port = real.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        datagrams = real.listenUDP(number, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
        self.addCleanup(datagrams.stopListening)
        self.names = DnsNames(make_resolver(real, [f"127.0.0.1:{number}"]), real, Random(1))

    async def test_seeds(self) -> None:
        """The preferred first, with the id that is told of it; and nothing in the log."""
        with capturedLogs() as events:
            found = await self.names.look_up("net.example")
        self.assertEqual(
            found,
            [
                NamedSeed("h1.net.example:6512", f"127.0.0.7:6512#{ID}"),
                NamedSeed("h2.net.example:7000", "[::1]:7000"),
            ],
        )
        logged = [e for e in events if DatagramLines()(e) is not PredicateResult.no]
        self.assertEqual(logged, [])
        self.assertNotEqual(events, [])

    async def test_an_answer_too_large_for_a_datagram(self) -> None:
        """Comes over TCP, and is cut to size."""
        found = await self.names.look_up("big.net.example.")
        self.assertEqual([seed.known_as.split(".")[0] for seed in found], ["h1", "h2"])

    async def test_no_such_name(self) -> None:
        with self.assertRaisesRegex(NameFailed, "there is no name _tace._tcp.none.net.example"):
            await self.names.look_up("none.net.example")

    async def test_nobody_there(self) -> None:
        """A server that is not there fails in bounded time."""
        real: Any = reactor
        names = DnsNames(make_resolver(real, ["127.0.0.1:9"]), real, Random(1))
        with self.assertRaises(NameFailed):
            await names.look_up("net.example")

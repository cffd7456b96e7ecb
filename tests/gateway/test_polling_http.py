"""The polled session as HTTP: paths, header fields, statuses."""

from __future__ import annotations

from base64 import urlsafe_b64decode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tace.errors import DrainingNow
from tace.gateway.frames import MAX_BODY_BYTES, join_frames
from tace.gateway.polling import EXCHANGE_SECONDS, IDLE_SECONDS, POLL_SECONDS
from tace.gateway.rates import RateLimits
from tace.gateway.sessions import ClientSessions
from tace.wire.client import (
    CaughtUp,
    Challenge,
    ClientDone,
    ClientPing,
    ClientPong,
    ClientRefused,
    GetStatus,
    OpenLease,
    Push,
    Send,
    SendAnswer,
    StartWatch,
    encode_client_message,
)
from tace.wire.message import Message
from tests.gateway.in_memory import Answer, Connection, decode, services, site_of
from tests.letters import Box
from tests.network import MemoryNetwork

THERE = "192.0.2.1"


class PollingHttpTestCase(SynchronousTestCase):
    """Three nodes; the first is asked over HTTP."""

    def setUp(self) -> None:
        self.network = MemoryNetwork(seed=1, **{"ring.replicas": 3})
        self.nodes = self.network.ring(3)
        self.sessions = ClientSessions(services(self.network, self.nodes[0]), 8)
        self.site = site_of(self.sessions, self.network.clock)

    def connect(self) -> Connection:
        return Connection(self.site)

    def open(self) -> tuple[dict[str, str], Challenge]:
        """A session: the field that names it, and what the node said."""
        answer = self.connect().ask("POST", "/v1/session")
        self.assertEqual(answer.status, 200)
        ((request, challenge),) = messages(answer)
        assert isinstance(challenge, Challenge)
        self.assertEqual(request, 0)
        return {"Tace-Session": answer.fields["tace-session"]}, challenge

    def exchange(self, token: dict[str, str], *requests: Message) -> list[tuple[int, Message]]:
        connection = self.connect()
        connection.start("POST", "/v1/exchange", token, body(*requests))
        return messages(self.wait(connection))

    def poll(self, token: dict[str, str], number: int) -> Connection:
        connection = self.connect()
        connection.start("GET", "/v1/poll", {**token, "Tace-Poll": str(number)})
        return connection

    def wait(self, connection: Connection, within: float = 30.0) -> Answer:
        end = self.network.clock.seconds() + within
        while connection.answer() is None and self.network.clock.seconds() < end:
            self.network.run(0.05)
        answer = connection.answer()
        assert answer is not None, f"nothing came within {within} s"
        return answer

    def assert_says(self, answer: Answer, status: int, code: str) -> None:
        ((request, refused),) = messages(answer)
        assert isinstance(refused, ClientRefused), refused
        self.assertEqual((answer.status, request, refused.code), (status, 0, code))


class TalkingTests(PollingHttpTestCase):
    """What works."""

    def test_a_token(self) -> None:
        """43 characters of base64url, 32 bytes; each session its own."""
        first, second = self.open()[0]["Tace-Session"], self.open()[0]["Tace-Session"]
        self.assertRegex(first, r"^[A-Za-z0-9_-]{43}$")
        self.assertEqual(len(urlsafe_b64decode(first + "=")), 32)
        self.assertNotEqual(first, second)

    def test_a_letter(self) -> None:
        """Sent by an exchange, received by a poll that waited for it."""
        box = Box()
        reader, challenge = self.open()
        lease = box.lease(
            network_id=challenge.network_id,
            node=challenge.node_id,
            origin=challenge.names[0],
            challenge=challenge.challenge,
            now=self.network.clock.seconds(),
        )
        done = self.exchange(reader, OpenLease(lease), StartWatch((box.id,), 64))
        self.assertEqual(sorted(done), [(1, ClientDone()), (2, ClientDone())])
        caught_up = messages(self.wait(self.poll(reader, 1)))
        self.assertEqual(caught_up, [(0, CaughtUp(box.id, True))])
        waiting = self.poll(reader, 2)
        self.assertIsNone(waiting.answer())
        sender, _ = self.open()
        letter = box.envelope(1, self.network.clock.seconds())
        ((_, sent),) = self.exchange(sender, Send((letter.encoded,)))
        assert isinstance(sent, SendAnswer)
        self.assertEqual(sent.results[0].state, "stored")
        self.assertEqual(messages(self.wait(waiting, 1.0)), [(0, Push(letter.encoded))])

    def test_every_answer_is_for_its_program_alone(self) -> None:
        """Not stored, not guessed at, readable for a page of any origin; no cookie."""
        token, _ = self.open()
        connection = self.connect()
        for answer in (
            connection.ask("POST", "/v1/session"),
            connection.ask("POST", "/v1/exchange", token, body(ClientPing())),
            connection.ask("GET", "/v1/exchange"),
            connection.ask("POST", "/v1/exchange", {}, body(ClientPing())),
            connection.ask("GET", "/v1/poll/below"),
            connection.ask("DELETE", "/v1/session", token),
        ):
            self.assertEqual(answer.fields["cache-control"], "no-store")
            self.assertEqual(answer.fields["x-content-type-options"], "nosniff")
            self.assertEqual(answer.fields["access-control-allow-origin"], "*")
            self.assertEqual(answer.fields["access-control-expose-headers"], "tace-session")
            self.assertNotIn("set-cookie", answer.fields)
            self.assertNotIn("access-control-allow-credentials", answer.fields)
            if answer.status != 204:
                self.assertEqual(answer.fields["content-type"], "application/octet-stream")

    def test_preflight(self) -> None:
        """What a browser asks first, for each path."""
        for path, method in (("session", "POST"), ("exchange", "POST"), ("poll", "GET")):
            asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": method}
            answer = self.connect().ask("OPTIONS", f"/v1/{path}", asked)
            self.assertEqual((answer.status, answer.body), (204, b""))
            self.assertIn(method, answer.fields["access-control-allow-methods"])
            self.assertEqual(
                answer.fields["access-control-allow-headers"],
                "tace-session, tace-poll, content-type",
            )
            self.assertEqual(answer.fields["access-control-max-age"], "86400")
        self.assertEqual(len(self.sessions), 0)

    def test_a_poll_asked_again(self) -> None:
        """The same bytes."""
        token, _ = self.open()
        first = self.wait(self.poll(token, 1))
        self.assertEqual((first.status, first.body), (200, b""))
        self.sessions.end_all()
        self.assertEqual(self.wait(self.poll(token, 1), 0).body, b"")
        self.assert_says(self.wait(self.poll(token, 2), 0), 200, "draining")
        self.assert_says(self.wait(self.poll(token, 2), 0), 200, "draining")
        self.assert_says(self.wait(self.poll(token, 3), 0), 401, "unauthorized")


class RefusingTests(PollingHttpTestCase):
    """What does not."""

    def test_no_such_session(self) -> None:
        """Missing, malformed, invented, ended: one answer."""
        token, _ = self.open()
        ended = self.connect().ask("DELETE", "/v1/session", token)
        self.assertEqual((ended.status, ended.body), (204, b""))
        for fields in (
            {},
            token,
            {"Tace-Session": ""},
            {"Tace-Session": "A" * 43},
            {"Tace-Session": "ä" * 43},
            {"Tace-Session": "A" * 10_000},
        ):
            for method, path in (("POST", "exchange"), ("GET", "poll"), ("DELETE", "session")):
                with_number = {**fields, "Tace-Poll": "1"}
                answer = self.connect().ask(method, f"/v1/{path}", with_number, b"")
                self.assert_says(answer, 401, "unauthorized")

    def test_a_body_that_is_none(self) -> None:
        """400, the session ends, the poll that waited hears the reason too."""
        for wrong in (b"", b"\0", b"\0\0\0\x06abc", join_frames([bytes(6)]) * 65, body() + b"x"):
            token, _ = self.open()
            waiting = self.poll(token, 1)
            answer = self.connect().ask("POST", "/v1/exchange", token, wrong)
            self.assert_says(answer, 400, "protocol-error")
            self.assert_says(self.wait(waiting), 200, "protocol-error")
            again = self.connect().ask("POST", "/v1/exchange", token, body(ClientPing()))
            self.assert_says(again, 401, "unauthorized")
            self.assert_says(self.wait(self.poll(token, 2)), 401, "unauthorized")
        self.assertEqual(len(self.sessions), 0)

    def test_a_message_that_is_none(self) -> None:
        """The same."""
        token, _ = self.open()
        answer = self.connect().ask("POST", "/v1/exchange", token, body(ClientPong(0)))
        self.assert_says(answer, 400, "protocol-error")

    def test_a_number_that_is_none(self) -> None:
        """400; the session stays."""
        token, _ = self.open()
        for number in ("", "0", "-1", "1.0", "01", "2", "1" * 10, "x"):
            answer = self.connect().ask("GET", "/v1/poll", {**token, "Tace-Poll": number})
            self.assert_says(answer, 400, "protocol-error")
        self.assertEqual(self.exchange(token, ClientPing())[0][0], 1)

    def test_other_methods(self) -> None:
        """405, and which there are."""
        for path, allowed in (
            ("session", "POST, DELETE, OPTIONS"),
            ("exchange", "POST, OPTIONS"),
            ("poll", "GET, OPTIONS"),
        ):
            for method in ("PUT", "HEAD"):
                answer = self.connect().ask(method, f"/v1/{path}")
                self.assertEqual((answer.status, answer.fields["allow"]), (405, allowed))

    def test_opening_with_a_body(self) -> None:
        """There is nothing to say yet."""
        answer = self.connect().ask("POST", "/v1/session", None, b"x")
        self.assert_says(answer, 400, "protocol-error")
        self.assertEqual(len(self.sessions), 0)

    def test_too_many(self) -> None:
        """503 and a word; nothing is opened."""
        for _ in range(4):
            self.open()
        answer = self.connect().ask("POST", "/v1/session")
        self.assert_says(answer, 503, "too-many")
        self.assertNotIn("tace-session", answer.fields)
        self.assertEqual(answer.fields["retry-after"], "10")

    def test_a_body_over_the_limit(self) -> None:
        """Refused by its length."""
        token, _ = self.open()
        answer = self.connect().ask("POST", "/v1/exchange", token, bytes(MAX_BODY_BYTES + 1))
        self.assertEqual(answer.status, 400)


class AddressTests(PollingHttpTestCase):
    """How many sessions one address may have, and how fast it may open them."""

    def site_with(self, proxies: tuple[str, ...] = (), **rates: float) -> None:
        self.sessions = ClientSessions(
            services(self.network, self.nodes[0], RateLimits(**rates)),
            8,
            max_per_address=2,
            trusted_proxies=proxies,
        )
        self.site = site_of(self.sessions, self.network.clock)

    def open_from(self, peer: str, forwarded: str = "") -> Answer:
        fields = {"X-Forwarded-For": forwarded} if forwarded else {}
        return Connection(self.site, peer).ask("POST", "/v1/session", fields)

    def test_so_many(self) -> None:
        """The third is refused with a word and a time; another address, and this machine, not."""
        self.site_with()
        opened = [self.open_from(THERE) for _ in range(2)]
        answer = self.open_from(THERE)
        self.assert_says(answer, 503, "too-many")
        self.assertEqual(answer.fields["retry-after"], "10")
        self.assertEqual(self.open_from("192.0.2.2").status, 200)
        self.assertEqual(self.open_from("127.0.0.1").status, 200)
        token = {"Tace-Session": opened[0].fields["tace-session"]}
        Connection(self.site).ask("DELETE", "/v1/session", token)
        self.assertEqual(self.open_from(THERE).status, 200)

    def test_so_fast(self) -> None:
        """429, and when to come again."""
        self.site_with(sessions=0.25)
        for _ in range(2):
            token = {"Tace-Session": self.open_from(THERE).fields["tace-session"]}
            Connection(self.site).ask("DELETE", "/v1/session", token)
        answer = self.open_from(THERE)
        self.assert_says(answer, 429, "rate-limited")
        self.assertEqual(answer.fields["retry-after"], "5")
        self.network.run(5.0)
        self.assertEqual(self.open_from(THERE).status, 200)

    def test_what_a_stranger_says_of_its_address(self) -> None:
        """Is not believed."""
        self.site_with()
        answers = [self.open_from(THERE, f"198.51.100.{number}") for number in range(3)]
        self.assertEqual([answer.status for answer in answers], [200, 200, 503])

    def test_behind_a_proxy(self) -> None:
        """What a trusted one says counts: each client has its own room."""
        self.site_with((THERE,))
        for number in range(3):
            self.assertEqual(self.open_from(THERE, f"198.51.100.{number}").status, 200)
        self.open_from(THERE, "198.51.100.0")
        self.assert_says(self.open_from(THERE, "9.9.9.9, 198.51.100.0"), 503, "too-many")


class GoneTests(PollingHttpTestCase):
    """Clients that hang up in the middle."""

    def test_while_a_poll_waits(self) -> None:
        """Nothing is written to it, and nothing is lost."""
        token, _ = self.open()
        waiting = self.poll(token, 1)
        waiting.go()
        self.sessions.end_all()
        self.network.run(1.0)
        self.assert_says(self.wait(self.poll(token, 1), 0), 200, "draining")
        self.assertEqual(waiting.transport.value(), b"")

    def test_the_site_waits_longer(self) -> None:
        """Over HTTP/2 the site's own limit ends a connection on which only a poll waits."""
        self.assertGreater(self.site.timeOut or 0, 2 * POLL_SECONDS)
        self.assertGreater(POLL_SECONDS, EXCHANGE_SECONDS)
        self.assertGreater(IDLE_SECONDS, 2 * POLL_SECONDS)

    def test_while_an_exchange_waits(self) -> None:
        """The answer comes by poll."""
        token, _ = self.open()
        stuck: Deferred[object] = Deferred()
        self.patch(self.nodes[0].core.sizes, "get", lambda: stuck)
        asking = self.connect()
        asking.start("POST", "/v1/exchange", token, body(GetStatus()))
        asking.go()
        stuck.errback(DrainingNow("late"))
        ((request, refused),) = messages(self.wait(self.poll(token, 1), 0))
        assert isinstance(refused, ClientRefused)
        self.assertEqual((request, refused.code), (1, "draining"))
        self.network.run(EXCHANGE_SECONDS + POLL_SECONDS + IDLE_SECONDS)
        self.assertEqual(asking.transport.value(), b"")
        self.assertEqual(len(self.sessions), 0)


def body(*requests: Message) -> bytes:
    return join_frames(encode_client_message(r, number) for number, r in enumerate(requests, 1))


def messages(answer: Answer) -> list[tuple[int, Message]]:
    """Taken apart here by the letter of the law, not by the node's own reader."""
    found = []
    rest = answer.body
    while rest:
        length = int.from_bytes(rest[:4], "big")
        found.append(decode(rest[4 : 4 + length]))
        rest = rest[4 + length :]
    return found

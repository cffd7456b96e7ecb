"""The links of a node, complete: the real :class:`~tace.seams.Links`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from random import Random
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tace.background import Periodic
from tace.config import LinksSettings
from tace.errors import LinkLost, StartError
from tace.identity.keys import SigningKey
from tace.identity.node_record import NodeRecord
from tace.ids import NodeId
from tace.links.backoff import Backoff
from tace.links.calls import Call
from tace.links.dialling import (
    DialEndpoint,
    Dialler,
    ListeningFactory,
    parse_address,
    tcp_endpoint,
)
from tace.links.health import LocalHealth
from tace.links.introduction import Introduction
from tace.links.misconduct import Misconduct
from tace.links.needs import LinkNeeds
from tace.links.pool import LinkPool
from tace.links.rates import PeerRates
from tace.links.reading import SlowReaders
from tace.links.tls import LinkTls
from tace.seams import AddressBook, Counters, LinkEvents, OwnRecord, Procedure
from tace.wire.message import Message, Request

A = TypeVar("A", bound=Message)

CERTIFICATE_SECONDS = 24 * 3600.0
"""A new certificate is made this often; links that are open keep theirs."""
LOOK_AT_FILES_SECONDS = 10.0
"""Certificate files are looked at this often, and read again when they have changed."""
DRAIN_SECONDS = 5.0
"""So long a node that stops waits for its links to close in good order."""


class PeerLinks:
    """TLS links to other nodes (:class:`~tace.seams.Links`).

    :param identity: the node's key; it signs hellos and is used for nothing else here.
    :param own: this node's record as it stands.
    :param book: where records of other nodes are found.
    :param reactor: sockets and endpoints.
    :param clock: all time; its ``seconds()`` is unix time.
    :param random: jitter.
    :param requests_stamp_bits: told in every hello: the stamp this node demands of envelopes for
        requests mailboxes.
    :param dial_endpoint: how a host and port are dialled; by default over TCP.
    :raises StartError: a certificate file of the settings cannot be used.
    """

    _log = Logger()

    def __init__(
        self,
        settings: LinksSettings,
        identity: SigningKey,
        network_id: bytes,
        own: OwnRecord,
        book: AddressBook,
        reactor: Any,
        clock: IReactorTime,
        random: Random,
        counters: Counters,
        *,
        requests_stamp_bits: int = 0,
        dial_endpoint: DialEndpoint | None = None,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._clock = clock
        self._counters = counters
        self._timeout = settings.call_timeout_seconds
        introduction = Introduction(identity, network_id, own, clock, requests_stamp_bits)
        self._tls = LinkTls(
            clock.seconds(),
            ca_file=settings.ca_file,
            certificate_file=settings.certificate_file,
            private_key_file=settings.private_key_file,
        )
        misconduct = Misconduct(clock, counters)
        self._health = LocalHealth()
        self._pool = LinkPool(
            node=introduction.node,
            settings=settings,
            book=book,
            clock=clock,
            backoff=Backoff(random),
            counters=counters,
            misconduct=misconduct,
            health=self._health,
        )
        self._procedures: dict[type[Message], Procedure] = {}
        needs = LinkNeeds(
            owner=self._pool,
            tls=self._tls,
            introduction=introduction,
            procedures=self._procedures,
            settings=settings,
            clock=clock,
            counters=counters,
            misconduct=misconduct,
            rates=PeerRates(settings),
            slow_readers=SlowReaders(),
            health=self._health,
        )
        self._dialler = Dialler(
            needs, dial_endpoint or tcp_endpoint(reactor, settings.hello_timeout_seconds)
        )
        self._pool.dial_with(self._dialler)
        self._listening = ListeningFactory(needs, self._pool.may_enter)
        self._port: IListeningPort | None = None
        self._introductions: set[Deferred[NodeRecord]] = set()
        seconds = LOOK_AT_FILES_SECONDS if self._tls.reads_files else CERTIFICATE_SECONDS
        self._renewal = Periodic(
            "links: new certificate", clock, lambda: seconds, self._renew_certificate
        )

    # -- life

    def start(self) -> Deferred[None]:
        """Listen.

        :raises StartError: the port is taken, or the endpoint makes no sense; names the setting.
        """
        return Deferred.fromCoroutine(self._start())

    @property
    def port(self) -> int:
        """The TCP port that is listened on; only after :meth:`start`."""
        if self._port is None:
            raise RuntimeError("not listening")
        host = self._port.getHost()
        if not isinstance(host, IPv4Address | IPv6Address):
            raise RuntimeError("listening, but not on TCP")
        return host.port

    def close(self, *, within_seconds: float = DRAIN_SECONDS) -> Deferred[None]:
        """Stop listening and take nothing new; finish what is under way, say goodbye.

        Fires when every connection is gone, at the latest a second after ``within_seconds``.
        """
        return Deferred.fromCoroutine(self._close(within_seconds))

    # -- Links

    def serve(self, procedures: Mapping[type[Message], Procedure]) -> None:
        self._procedures.update(procedures)

    def subscribe(self, listener: LinkEvents) -> None:
        self._pool.subscribe(listener)

    def call(
        self, node: NodeId, request: Request[A], *, timeout_seconds: float | None = None
    ) -> Deferred[A]:
        now = self._clock.seconds()
        if timeout_seconds is None:
            link = self._pool.links.get(node)
            timeout = self._timeout if link is None else link.answer_seconds
            call = Call(request, now + self._health.stretch * timeout, placed_at=now)
        else:
            call = Call(request, now + timeout_seconds)
        self._pool.place(node, call)
        return call.answer

    def send(self, node: NodeId, message: Message) -> bool:
        link = self._pool.links.get(node)
        return link is not None and link.tell(message)

    def is_up(self, node: NodeId) -> bool:
        return node in self._pool.links

    def up(self) -> Collection[NodeId]:
        return tuple(self._pool.links)

    def introduce(self, address: str, *, name: str = "") -> Deferred[NodeRecord]:
        introduced = Deferred.fromCoroutine(self._introduce(address, name))
        self._introductions.add(introduced)

        def forget(result: NodeRecord | Failure) -> NodeRecord | Failure:
            self._introductions.discard(introduced)
            return result

        return introduced.addBoth(forget)

    def pin(self, nodes: Collection[NodeId]) -> None:
        self._pool.pin(nodes)

    def guard(self, nodes: Collection[NodeId]) -> None:
        self._pool.guard(nodes)

    def reset_backoff(self, nodes: Collection[NodeId]) -> None:
        self._pool.reset_backoff(nodes)

    # -- what only real links know

    def clock_difference_seconds(self, node: NodeId) -> float | None:
        """That node's clock minus ours, as its hello said; None where no link is up.

        Beyond ``introduction.CLOCK_UNFIT_SECONDS`` either way the node is no replica.
        """
        link = self._pool.links.get(node)
        return None if link is None or link.peer is None else link.peer.clock_difference_seconds

    def requests_stamp_bits(self, node: NodeId) -> int | None:
        """The stamp that node demands for requests mailboxes; None where no link is up."""
        link = self._pool.links.get(node)
        return None if link is None or link.peer is None else link.peer.requests_stamp_bits

    # -- inside

    async def _start(self) -> None:
        listen = self._settings.listen
        try:
            self._port = await serverFromString(self._reactor, listen).listen(self._listening)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            raise StartError(f"[links] listen: cannot listen on {listen}: {why}") from error
        except (ValueError, TypeError, OSError) as error:
            raise StartError(f"[links] listen: {listen} is no endpoint: {error}") from error
        self._renewal.start()

    async def _close(self, within_seconds: float) -> None:
        await self._renewal.stop()
        port, self._port = self._port, None
        if port is not None:
            await maybeDeferred(port.stopListening)
        for introduction in list(self._introductions):
            introduction.cancel()
        await self._pool.drain(within_seconds)

    async def _introduce(self, address: str, name: str) -> NodeRecord:
        try:
            wanted = parse_address(address)
        except ValueError as error:
            raise LinkLost(str(error)) from error
        link = self._pool.links.get(wanted.node) if wanted.node is not None else None
        if link is None:
            link = await self._dialler.dial(wanted, name)
        assert link.peer is not None
        return link.peer.record

    async def _renew_certificate(self) -> None:
        now = self._clock.seconds()
        if not self._tls.reads_files:
            self._tls.renew(now)
            return
        try:
            if self._tls.renew_if_changed(now):
                self._log.info("the certificate files of the links have been read again")
        except StartError as error:
            # Half-written, or a pair of which only one half is there yet.
            self._counters.count("links_certificate_failures")
            self._log.error("the old certificate stays in use: {error}", error=str(error))

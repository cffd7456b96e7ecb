"""The composition root: one real node, as a service (page 1.2)."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from tace import __version__
from tace.background import background
from tace.config import Settings
from tace.core import Core, build_core
from tace.errors import StartError, TaceError
from tace.gateway.certificates import ReloadingCertificate
from tace.gateway.door import Door, GuardedFactory, GuardedTLSFactory
from tace.gateway.misconduct import ClientMisconduct
from tace.gateway.polling_sessions import PollingSessions
from tace.gateway.rates import RateLimits, Rates
from tace.gateway.services import GatewayLimits, GatewayServices
from tace.gateway.sessions import ClientSessions
from tace.gateway.site import QuietSite, make_site
from tace.gateway.web_files import installed_files
from tace.gateway.websocket import ClientSockets, websocket_resource
from tace.identity.keys import SigningKey
from tace.links.names import DnsNames, make_resolver
from tace.links.service import PeerLinks
from tace.observe.control import SOCKET_MODE, clear_stale, control_site, socket_path
from tace.observe.lag import LoopLag
from tace.observe.metrics import Metrics
from tace.observe.site import MetricsResource
from tace.ring.membership import Membership
from tace.storage.memory import MemoryStore
from tace.storage.sqlite import SqliteStore

START_AGAIN_SECONDS = 5.0
LEFT_NAME = "left"
"""In the data directory: its node has left the network."""
DRAIN_SECONDS = 4.0
"""So long a node that stops waits for answers to clients that are under way."""


LAST_LINES_SECONDS = 0.5
"""So long after it has left, whoever watches can still read that it has."""


class Node(MultiService):
    """One node with its sockets and its disk.

    ``privilegedStartService`` opens both, so that whatever is wrong stops the start with one line.

    :param end: ends the process, once this node has left the network for good.
    :raises StartError: from there; the text names the setting.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, reactor: Any, *, end: Callable[[], object] | None = None
    ) -> None:
        MultiService.__init__(self)
        self.settings = settings
        self._end: Callable[[], object] = end or reactor.stop
        self._reactor = reactor
        self.metrics = Metrics()
        self._lag = LoopLag(reactor, self.metrics)
        self._draining = False
        self._has_left = False
        self._control_path: Path | None = None
        self._ports: list[IListeningPort] = []
        self._links: PeerLinks | None = None
        self._starting: Deferred[None] = succeed(None)
        self._stopping: Deferred[None] | None = None
        self._opened = False

    # -- start -----------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        MultiService.privilegedStartService(self)
        data_dir = _open_directory(self.settings.node.data_dir)
        check_not_left(data_dir)
        key = _load_identity(data_dir / "identity.pem")
        self._store = self._open_store(data_dir)
        try:
            # This directory is this node's alone by now: what lies there is from an earlier one.
            self._clear_control(data_dir)
            self._open_sockets(key)
        except BaseException:
            self._close_half_open()
            raise
        self._opened = True

    def _close_half_open(self) -> None:
        """Let go of what a failed start has opened; an open store keeps a process from ending."""
        self._lag.stop()
        for port in self._ports:
            background("stop listening", _maybe(port.stopListening()))
        if self._links is not None:
            background("close links", _maybe(self._links.close(within_seconds=0)))
        background("close the store", _maybe(self._store.close()))

    def _open_sockets(self, key: SigningKey) -> None:
        settings = self.settings

        def make_links(membership: Membership) -> PeerLinks:
            links = self._links = PeerLinks(
                settings.links,
                key,
                settings.network_id,
                membership,
                membership,
                self._reactor,
                self._reactor,
                SystemRandom(),
                self.metrics,
                requests_stamp_bits=settings.limits.requests_stamp_bits,
            )
            return links

        self.core: Core = build_core(
            settings,
            key,
            peer_addresses=settings.links.advertise,
            client_urls=settings.gateway.names,
            make_links=make_links,
            store=self._store,
            clock=self._reactor,
            random=SystemRandom(),
            counters=self.metrics,
            software=f"tace {__version__}",
            names=DnsNames(
                make_resolver(self._reactor, settings.links.name_servers),
                self._reactor,
                SystemRandom(),
            ),
        )
        assert self._links is not None
        self._must_start(self._links.start())
        self.peer_port = self._links.port
        self._start_gateway()
        self._start_control()
        self._start_metrics()
        self.core.leave.when_left(self._left)
        self.core.membership.describe(
            replace(
                self.core.membership.description,
                peer_addresses=settings.links.advertise or (f"127.0.0.1:{self.peer_port}",),
                client_urls=self.names[:4],
            )
        )

    def startService(self) -> None:
        MultiService.startService(self)
        self._log.info(
            "node {node} of network {network}: clients at {url}, peers at port {port}",
            node=self.node_id.hex()[:16],
            network=self.settings.node.network,
            url=self.client_url,
            port=self.peer_port,
        )
        self._starting = background("start the node", self._start_core())

    async def _start_core(self) -> None:
        while not self._draining:
            try:
                await self.core.start()
                break
            except TaceError as error:
                # A disk that fails now may work again; until then nothing is served as whole.
                self._log.error(
                    "cannot start yet: {error}; trying again in {seconds} s",
                    error=error,
                    seconds=START_AGAIN_SECONDS,
                )
                await deferLater(self._reactor, START_AGAIN_SECONDS)
        self._log.info(
            "{state}: {count} nodes known",
            state=self.core.state,
            count=len(self.core.membership.living()),
        )

    @property
    def node_id(self) -> bytes:
        return self.core.membership.own

    @property
    def names(self) -> tuple[str, ...]:
        """The origins that clients may dial."""
        return self.settings.gateway.names or self._derived_names

    @property
    def client_url(self) -> str:
        return self.names[0]

    @property
    def state(self) -> str:
        return "draining" if self._draining else self.core.state

    def _open_store(self, data_dir: Path) -> Any:
        storage = self.settings.storage
        quotas: dict[str, Any] = {
            "mailbox_max_items": storage.mailbox_max_items,
            "requests_mailbox_max_items": storage.requests_mailbox_max_items,
            "max_bytes": storage.max_bytes,
        }
        if storage.kind == "memory":
            return MemoryStore(**quotas)
        if storage.synchronous == "off":
            self._log.warn("[storage] synchronous is off: a power cut loses acknowledged messages")
        return SqliteStore(
            data_dir / "node.db",
            self._reactor,
            synchronous=storage.synchronous,
            min_free_bytes=storage.min_free_bytes,
            counters=self.metrics,
            **quotas,
        )

    def _must_start(self, listening: Deferred[Any]) -> Any:
        """The result of something that has finished by the time it returns.

        Listening does; a node must know of a taken port before it counts as started.
        """
        results: list[Any] = []
        listening.addBoth(results.append)
        if not results:
            raise StartError("that endpoint takes its time to listen, which a node cannot wait for")
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return results[0]

    def _listen(self, setting: str, description: str, factory: Any) -> IListeningPort:
        try:
            port: IListeningPort = self._must_start(
                serverFromString(self._reactor, description).listen(factory)
            )
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            raise StartError(f"{setting}: cannot listen on {description}: {why}") from error
        except (ValueError, TypeError, OSError) as error:
            raise StartError(f"{setting}: {description} is no endpoint: {error}") from error
        self._ports.append(port)
        return port

    def _start_gateway(self) -> None:
        settings = self.settings.gateway
        limits = self.settings.limits
        misconduct = ClientMisconduct(self._reactor, self.metrics)
        services = GatewayServices(
            core=self.core,
            network_id=self.settings.network_id,
            software=self.core.membership.description.software,
            names=lambda: self.names,
            state=lambda: self.state,
            limits=GatewayLimits(
                window=settings.window,
                requests_in_flight=limits.sends_in_flight_per_connection,
                max_lifetime_hours=limits.message_lifetime_max_days * 24,
                requests_stamp_bits=limits.requests_stamp_bits,
            ),
            clock=self._reactor,
            counters=self.metrics,
            random_bytes=os.urandom,
            rates=Rates(
                RateLimits(
                    sends=limits.sends_per_second,
                    acks=limits.acks_per_second,
                    lookups=limits.lookups_per_second,
                    records=limits.records_per_second,
                    blobs=limits.blobs_per_second,
                    leases=limits.leases_per_second,
                    sessions=limits.sessions_per_second,
                    commands=limits.commands_per_second,
                )
            ),
            misconduct=misconduct,
        )
        self._clients = ClientSessions(
            services,
            settings.max_connections,
            max_per_address=settings.max_connections_per_address,
            trusted_proxies=settings.trusted_proxies,
        )
        self._polling = PollingSessions(self._clients, self._reactor)
        site = make_site(
            websocket_resource(ClientSockets(self._clients, self._reactor)),
            self._polling,
            installed_files() if settings.web else None,
            self._reactor,
        )
        door = self._door = Door(
            settings.max_connections,
            settings.max_connections_per_address,
            settings.accepts_per_second,
            trusted_proxies=settings.trusted_proxies,
            clock=self._reactor,
            misconduct=misconduct,
        )
        self.metrics.gauge_from("client_connections", lambda: len(door))
        self.metrics.gauge_from("client_sessions", lambda: len(self._clients))
        scheme = "http"
        factory: Any = GuardedFactory(site, door)
        if settings.certificate_file is not None and settings.private_key_file is not None:
            certificate = ReloadingCertificate(
                settings.certificate_file, settings.private_key_file, self._reactor
            )
            factory = GuardedTLSFactory(certificate, site, door, self._reactor)
            scheme = "https"
        port = self._listen("[gateway] listen", settings.listen, factory)
        self._derived_names = tuple(_origins(scheme, port))

    def _start_metrics(self) -> None:
        description = self.settings.observe.metrics_listen
        if description:
            site = QuietSite(_with_child(b"metrics", MetricsResource(self.metrics)), self._reactor)
            self._listen("[observe] metrics_listen", description, site)
            self.metrics.gauge_from("loop_lag_max_seconds", self._lag.longest)
            self._lag.start()

    # -- the operator's socket -------------------------------------------------------------------

    def _clear_control(self, data_dir: Path) -> None:
        """:raises StartError: another node runs in that directory."""
        try:
            path = socket_path(data_dir)
        except StartError as error:
            # It serves everybody all the same; only its operator cannot speak to it.
            self._log.warn("no control socket, so no tace leave: {error}", error=error)
            return
        clear_stale(path)
        self._control_path = path

    def _start_control(self) -> None:
        if self._control_path is None:
            return
        try:
            site = control_site(self.core.leave, self.node_id, self._reactor)
            self._ports.append(
                self._reactor.listenUNIX(os.fspath(self._control_path), site, mode=SOCKET_MODE)
            )
        except CannotListenError as error:
            raise StartError(
                f"[node] data_dir: cannot listen at {self._control_path}: {error.socketError}"
            ) from error

    def _left(self) -> None:
        """Everything is handed over: mark the directory, and end."""
        try:
            mark_left(self.settings.node.data_dir, self._reactor.seconds())
        except OSError as error:
            self._log.error("cannot mark the data directory as left: {error}", error=error)
        self._has_left = True
        self._reactor.callLater(LAST_LINES_SECONDS, self._end)

    # -- stop ------------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        if self._stopping is None:
            self._stopping = background("stop the node", self._stop())
        stopped: Deferred[None] = Deferred()
        self._stopping.addCallback(lambda _: stopped.callback(None))
        return stopped

    async def _stop(self) -> None:
        """Take nothing new, say that the node will be back, finish what is in flight, close.

        The others hear it first: they stop asking while there is still somebody to answer.
        Each step is done whatever becomes of the one before: an open store would keep the process
        from ending.
        """
        self._draining = True
        if not self._opened:
            return
        self._lag.stop()
        for port in self._ports:
            await self._step("stop listening", port.stopListening)
        # A start that is still under way finds its loops stopped and its links closed.
        self._starting.cancel()
        announced: Deferred[None] = succeed(None)
        if not self._has_left:
            announced = background("say that this node goes away", self.core.say_away())
        with suppress(TimeoutError):
            await self._clients.finished().addTimeout(DRAIN_SECONDS, self._reactor)
        self._clients.end_all()
        await announced
        assert self._links is not None
        await self._step("stop the ring", lambda: Deferred.fromCoroutine(self.core.stop()))
        await self._step("close links", self._links.close)
        await self._step("close the store", self._store.close)
        await self._step("end polled sessions", self._polling.discard_all)
        await self._step("stop", lambda: MultiService.stopService(self))
        self._log.info("node {node} has stopped", node=self.node_id.hex()[:16])

    async def _step(self, name: str, step: Callable[[], Any]) -> None:
        try:
            await _maybe(step())
        except Exception:
            self._log.failure("while stopping: {name}", name=name)


def make_node(settings: Settings, reactor: Any) -> Node:
    """A node that has opened nothing yet."""
    return Node(settings, reactor)


def mark_left(data_dir: Path, now: float) -> None:
    """Have every later start of that node say that it has left.

    :raises OSError: the disk does not take it.
    """
    fresh = data_dir / f"{LEFT_NAME}.new"
    with fresh.open("w") as file:
        file.write(datetime.fromtimestamp(int(now), UTC).isoformat() + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(data_dir / LEFT_NAME)
    directory = os.open(data_dir, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def check_not_left(data_dir: Path) -> None:
    """:raises StartError: its node has left, and how it comes back."""
    mark = data_dir / LEFT_NAME
    try:
        when = mark.read_text(errors="replace").strip()[:40]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(f"[node] data_dir: {mark}: {error.strerror or error}") from error
    raise StartError(
        f"[node] data_dir: the node of {data_dir} left the network for good ({when}) and handed"
        f" over all it held; to have it join again under its old identity, delete {mark};"
        " else the directory is no longer needed"
    )


def _open_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise StartError(f"[node] data_dir: {path} cannot be written: {_advice(error)}") from error
    return path


def _advice(error: OSError) -> str:
    """What is wrong, and what to do where that is known."""
    text = error.strerror or str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"{text}: make room on that disk"
        case errno.EROFS:
            return f"{text}: make it writable, or set another directory"
    return text


def _load_identity(path: Path) -> SigningKey:
    """The node's key; made at the first start. Never overwritten, never half-written."""
    try:
        return SigningKey.from_pem(path.read_bytes())
    except FileNotFoundError:
        key = SigningKey.generate()
    except (OSError, ValueError) as error:
        raise StartError(f"[node] data_dir: {path} is no P-256 key: {error}") from error
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.to_pem())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError as error:
        raise StartError(f"[node] data_dir: {path} cannot be made: {_advice(error)}") from error
    return key


def _origins(scheme: str, port: IListeningPort) -> Sequence[str]:
    """How a client on this machine may dial a listening port."""
    host = port.getHost()
    if not isinstance(host, IPv4Address | IPv6Address):
        raise StartError("[gateway] listen: set [gateway] names for an endpoint that is not TCP")
    loopback = ("127.0.0.1", "localhost")
    names = loopback if host.host in ("0.0.0.0", "::", "127.0.0.1") else (host.host,)  # noqa: S104
    return [f"{scheme}://{f'[{name}]' if ':' in name else name}:{host.port}" for name in names]


def _with_child(name: bytes, child: Resource) -> Resource:
    root = Resource()
    root.putChild(name, child)
    return root


async def _maybe(result: Any) -> None:
    if isinstance(result, Deferred):
        await result

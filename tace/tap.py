"""``twistd tace``: a node as twistd runs it.

Whatever keeps a node from starting ends it with one line on stderr and exit status 1. SIGTERM and
SIGINT let what is in flight finish and end it with exit status 0.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IReactorTime
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from twisted.python.usage import Options as TwistedOptions

from tace.config import Settings, load_settings
from tace.errors import SettingsError, StartError
from tace.gateway.door import max_client_connections
from tace.node import make_node
from tace.observe.datagrams import DatagramLines
from tace.observe.exhaustion import ExhaustionLines

STOP_SECONDS = 8.0
"""How long what is in flight may take; the process ends within 10 seconds of the signal."""

OTHER_FILES = 64
"""Of a node: its database and log, its ports, and some to spare."""

_log = Logger()
_STATUS_BYTES = 98
"""What twistd reads from its background process, less two bytes."""


class Options(TwistedOptions):
    synopsis = "[--config FILE]"
    longdesc = (
        "A node of the tace messenger. Without --config it runs with its defaults and keeps its "
        "data in ./data/node. Every setting can also come from the environment: [gateway] listen "
        "is TACE_GATEWAY_LISTEN."
    )
    optParameters = [  # noqa: N815, RUF012 - Twisted reads it by this name
        ["config", "c", None, "The settings file (TOML)."],
    ]


def makeService(options: Options) -> Service:
    """The node as a service.

    :raises SystemExit: with one line, when the settings or the data directory cannot be used.
    """
    from twisted.internet import reactor

    config = options["config"]
    try:
        settings = load_settings(Path(config) if config else None, os.environ)
        check_outside(settings, reactor)
        allow_open_files(
            max_client_connections(settings.gateway.max_connections)
            + settings.links.max_links
            + settings.links.max_unproved
        )
        node = make_node(settings, reactor)
    except (SettingsError, StartError) as error:
        raise SystemExit(f"tace: {error}") from None
    return NodeService(
        node,
        reactor,
        log_observer=log_observer(settings.node.log_level, options.parent),
        exit_on_signals=exit_on_signals,
        give_up=exit_with(options.parent or {}),
        when_up=settle_garbage_collection,
    )


def check_outside(settings: Settings, reactor: object) -> None:
    """What only shows outside of the settings: endpoints Twisted does not know, missing files.

    :raises SettingsError: one line.
    """
    for name, description in (
        ("[links] listen", settings.links.listen),
        ("[gateway] listen", settings.gateway.listen),
        ("[observe] metrics_listen", settings.observe.metrics_listen),
    ):
        try:
            if description:
                serverFromString(reactor, description)
        except Exception as error:  # each kind of endpoint parses by its own rules
            text = " ".join(str(error).split())
            raise SettingsError(f"{name}: {description!r} is no endpoint: {text}") from None
    for name, path in (
        ("[links] ca_file", settings.links.ca_file),
        ("[links] certificate_file", settings.links.certificate_file),
        ("[links] private_key_file", settings.links.private_key_file),
        ("[gateway] certificate_file", settings.gateway.certificate_file),
        ("[gateway] private_key_file", settings.gateway.private_key_file),
    ):
        try:
            if path is not None:
                path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: {path}: {error.strerror or error}") from None


class NodeService(Service):
    """A node under twistd: one line when it cannot start, a bounded and clean stop.

    :param node: the service that does the work.
    :param log_observer: what twistd is to log with; None leaves that to twistd.
    :param exit_on_signals: called with the reactor: makes SIGTERM and SIGINT stop it.
    :param give_up: says why a node cannot start, and ends the process.
    :param when_up: called once everything has started.
    """

    _log = Logger()

    def __init__(
        self,
        node: IService,
        reactor: Any,
        *,
        log_observer: ILogObserver | None,
        exit_on_signals: Callable[[Any], None],
        give_up: Callable[[str], NoReturn],
        when_up: Callable[[], object] = lambda: None,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._node = node
        self._reactor = reactor
        self._log_observer = log_observer
        self._exit_on_signals = exit_on_signals
        self._give_up = give_up
        self._when_up = when_up
        self._stop_seconds = stop_seconds

    def setServiceParent(self, parent: Any) -> None:
        if self._log_observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._log_observer)
        Service.setServiceParent(self, parent)

    def privilegedStartService(self) -> None:
        Service.privilegedStartService(self)
        self._or_give_up(self._node.privilegedStartService)

    def startService(self) -> None:
        Service.startService(self)
        self._or_give_up(self._node.startService)
        # Now, for a signal that comes early, and again once the reactor has set its own.
        self._exit_on_signals(self._reactor)
        self._reactor.callWhenRunning(self._up)

    def stopService(self) -> Deferred[None]:
        Service.stopService(self)
        clock: IReactorTime = self._reactor
        stopping = maybeDeferred(self._node.stopService)
        stopping.addTimeout(self._stop_seconds, clock)
        stopping.addErrback(self._not_stopped)
        return stopping.addCallback(lambda _: None)

    def _up(self) -> None:
        self._exit_on_signals(self._reactor)
        self._when_up()
        self._log.info("the node is up")

    def _not_stopped(self, failure: Failure) -> None:
        """The process ends all the same; what was promised to anyone is on disk."""
        if failure.check(DeferredTimeout):
            self._log.warn("not everything was done after {seconds} s", seconds=self._stop_seconds)
        else:
            self._log.failure("stopping failed", failure)

    def _or_give_up(self, start: Callable[[], object]) -> None:
        try:
            start()
        except (StartError, SystemExit) as error:
            self._log.critical("{error}", error=error)
            self._give_up(f"tace: {error}")
        except Exception:
            self._give_up(traceback.format_exc().rstrip())


def allow_open_files(connections: int) -> None:
    """Have this process keep as many files open as the system lets it, and say if that is too few.

    Shells and supervisors give a thousand by default, for programs that ``select``.

    :param connections: how many the settings allow.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < connections + OTHER_FILES:
        _log.warn(
            "only {files} files may be open, too few for {connections} connections; allow more "
            "(LimitNOFILE= in a systemd unit, ulimit -Hn), or lower [gateway] max_connections",
            files=hard,
            connections=connections,
        )


def settle_garbage_collection() -> None:
    """What a node is made of stays: looking at it again and again is a twentieth of its work."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def exit_with(twistd: Mapping[str, Any]) -> Callable[[str], NoReturn]:
    """Says why on the operator's terminal and ends the process with exit status 1.

    At once, whatever threads a half-started node has running.

    :param twistd: twistd's options. In the background the terminal belongs to the process that
        waits at the other end of ``statusPipe``, and twistd would leave it waiting.
    """

    def give_up(text: str) -> NoReturn:
        pipe = twistd.get("statusPipe")
        if pipe is not None:
            os.write(pipe, b"1 " + text.encode()[:_STATUS_BYTES])
        elif sys.__stderr__ is not None:
            # Twisted has put its log in the place of sys.stderr.
            print(text, file=sys.__stderr__, flush=True)
        if twistd.get("pidfile"):
            Path(twistd["pidfile"]).unlink(missing_ok=True)
        sys.stdout.flush()
        os._exit(1)

    return give_up


def exit_on_signals(reactor: Any) -> None:
    """Makes SIGTERM, SIGINT and SIGHUP stop the reactor and nothing else.

    Twisted's own handlers do so too, but then twistd ends the process with that very signal, which
    a supervisor takes for a crash.
    """

    def stop() -> None:
        try:
            reactor.stop()
        except ReactorNotRunning:
            # The second signal; the first is being obeyed.
            return

    def stop_soon(_number: int, _frame: FrameType | None) -> None:
        reactor.callFromThread(stop)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Who started it may have wanted one ignored (nohup, a shell's background job).
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop_soon)


def log_observer(level: str, twistd: Any) -> ILogObserver | None:
    """Writes what is at least of ``level`` where twistd's options say; None: twistd's own observer.

    :param twistd: twistd's options, or those of another program that runs services.
    """
    if twistd is None or "logfile" not in twistd or twistd.get("syslog") or twistd.get("logger"):
        return None
    name = twistd["logfile"]
    if name == "-" or (twistd.get("nodaemon") and not name):
        file: Any = sys.stdout
    else:
        file = LogFile.fromFullPath(name or "twistd.log")
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    predicates = [ExhaustionLines(), DatagramLines(), predicate]
    observer: ILogObserver = FilteringLogObserver(textFileLogObserver(file), predicates)
    return observer

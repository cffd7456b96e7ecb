"""``twistd tace``: how a node starts, and how it stops."""

from __future__ import annotations

import io
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Application, Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ReactorNotRunning
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tace import tap
from tace.config import default_settings
from tace.errors import SettingsError, StartError
from tace.lab.process import twistd_command
from tace.tap import (
    OTHER_FILES,
    NodeService,
    Options,
    allow_open_files,
    check_outside,
    exit_on_signals,
    log_observer,
)
from tests.processes import Ended, Program, environment, twistd


class FakeNode(Service):
    """A service that does as it is told."""

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.privileged_error: BaseException | None = None
        self.start_error: BaseException | None = None
        self.stopping: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        self.happened.append("privileged")
        if self.privileged_error:
            raise self.privileged_error

    def startService(self) -> None:
        self.happened.append("start")
        if self.start_error:
            raise self.start_error

    def stopService(self) -> Deferred[None]:
        self.happened.append("stop")
        return self.stopping


class Life(SynchronousTestCase):
    """The service that twistd gets, around a node."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.reactor = MemoryReactorClock()
        self.said: list[str] = []
        self.signals: list[Any] = []
        self.service = NodeService(
            self.node,
            self.reactor,
            log_observer=None,
            exit_on_signals=self.signals.append,
            give_up=self.give_up,
            stop_seconds=8,
        )

    def give_up(self, text: str) -> NoReturn:
        """Stands for the end of the process."""
        self.said.append(text)
        raise SystemExit(1)

    def test_start(self) -> None:
        """In twistd's order; signals are taken over, again when the reactor has set its own."""
        self.service.privilegedStartService()
        self.service.startService()
        self.assertEqual(self.node.happened, ["privileged", "start"])
        self.assertEqual(self.signals, [self.reactor])
        for call, args, kwargs in self.reactor.whenRunningHooks:
            call(*args, **kwargs)
        self.assertEqual(self.signals, [self.reactor, self.reactor])

    def test_cannot_start(self) -> None:
        """Whichever way and time a node says so: one line for the operator."""
        for attribute in ("privileged_error", "start_error"):
            for error in (StartError("port 6512 is taken"), SystemExit("port 6512 is taken")):
                self.setUp()
                setattr(self.node, attribute, error)
                with self.assertRaises(SystemExit):
                    self.service.privilegedStartService()
                    self.service.startService()
                self.assertEqual(self.said, ["tace: port 6512 is taken"])

    def test_broken(self) -> None:
        """A mistake of ours: its traceback, and no process that only seems to run."""
        self.node.start_error = ZeroDivisionError("zero")
        with self.assertRaises(SystemExit):
            self.service.startService()
        self.assertRegex(self.said[0], r"(?s)^Traceback .*ZeroDivisionError: zero$")

    def test_stop_waits(self) -> None:
        """Until the node has finished what is in flight."""
        self.service.startService()
        stopping = self.service.stopService()
        self.reactor.advance(7)
        self.assertNoResult(stopping)
        self.node.stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopping))

    def test_stop_is_bounded(self) -> None:
        """A node that never finishes does not keep the process."""
        self.service.startService()
        stopping = self.service.stopService()
        self.reactor.advance(8)
        self.assertIsNone(self.successResultOf(stopping))

    def test_stop_fails(self) -> None:
        """The failure is logged, and the process ends all the same."""
        self.node.stopping = fail(ZeroDivisionError())
        self.service.startService()
        self.assertIsNone(self.successResultOf(self.service.stopService()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_log_observer(self) -> None:
        """It becomes the application's, which twistd then logs with."""
        observer = log_observer("warn", {"logfile": "-"})
        service = NodeService(
            self.node,
            self.reactor,
            log_observer=observer,
            exit_on_signals=self.signals.append,
            give_up=self.give_up,
        )
        application = Application("tace")
        service.setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)


class Logging(SynchronousTestCase):
    """Where the log goes, and how much of it."""

    def log_all(self, observer: ILogObserver | None) -> None:
        assert observer is not None
        log = Logger(observer=LogPublisher(observer))
        for level in LogLevel.iterconstants():
            log.emit(level, "at {name}", name=level.name)

    def test_level(self) -> None:
        """What is less serious is left out; the rest goes to standard output under -n."""
        printed = io.StringIO()
        self.patch(sys, "stdout", printed)
        self.log_all(log_observer("warn", {"logfile": None, "nodaemon": True}))
        text = printed.getvalue()
        self.assertNotIn("at debug", text)
        self.assertNotIn("at info", text)
        for level in ("warn", "error", "critical"):
            self.assertIn(f"at {level}", text)

    def test_file(self) -> None:
        """--logfile is obeyed."""
        path = Path(self.mktemp())
        self.log_all(log_observer("debug", {"logfile": str(path), "nodaemon": True}))
        self.assertEqual(len(path.read_text().splitlines()), 5)

    def test_left_to_others(self) -> None:
        """Syslog, a logger of the operator's, and programs other than twistd keep theirs."""
        self.assertIsNone(log_observer("info", {"logfile": None, "syslog": True}))
        self.assertIsNone(log_observer("info", {"logfile": None, "logger": object}))
        self.assertIsNone(log_observer("info", {}))
        self.assertIsNone(log_observer("info", None))


class Outside(SynchronousTestCase):
    """What the settings' own table cannot see."""

    def test_good(self) -> None:
        """The defaults pass."""
        check_outside(default_settings(), MemoryReactorClock())

    def test_endpoints(self) -> None:
        """An endpoint of a kind that Twisted does not know, and one with a wrong argument."""
        for key, value, complaint in (
            ("links.listen", "carrier-pigeon:1", None),
            ("links.listen", "pigeon:1", r"\[links\] listen: 'pigeon:1' is no endpoint: "),
            ("gateway.listen", "tcp:1:colour=red", r"\[gateway\] listen: 'tcp:1:colour=red' is"),
            ("observe.metrics_listen", "tcp:1:backlog=x", r"\[observe\] metrics_listen: "),
        ):
            pattern = complaint or "is not allowed"
            with self.assertRaisesRegex(SettingsError, pattern):
                check_outside(default_settings(**{key: value}), MemoryReactorClock())

    def test_missing_file(self) -> None:
        """Each configured file must be readable."""
        there = Path(self.mktemp())
        there.write_text("")
        missing = Path(self.mktemp())
        settings = default_settings(
            **{"gateway.certificate_file": there, "gateway.private_key_file": missing}
        )
        with self.assertRaisesRegex(
            SettingsError,
            rf"^\[gateway\] private_key_file: {missing}: No such file or directory$",
        ):
            check_outside(settings, MemoryReactorClock())


class OpenFiles(SynchronousTestCase):
    """The bound on open files, with the system's two limits in the test's hand."""

    def setUp(self) -> None:
        self.limits = (1024, 4096)
        self.patch(resource, "getrlimit", lambda _: self.limits)
        self.patch(resource, "setrlimit", lambda _, limits: setattr(self, "limits", limits))
        self.warned: list[Any] = []
        self.patch(tap, "_log", self)

    def warn(self, text: str, **fields: Any) -> None:
        self.warned.append(fields)

    def test_as_many_as_the_system_allows(self) -> None:
        allow_open_files(4096 - OTHER_FILES)
        self.assertEqual(self.limits, (4096, 4096))
        self.assertEqual(self.warned, [])

    def test_too_few_are_said(self) -> None:
        allow_open_files(4096)
        self.assertEqual(self.warned, [{"files": 4096, "connections": 4096}])

    def test_no_limit_at_all(self) -> None:
        self.limits = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        allow_open_files(1_000_000)
        self.assertEqual(self.warned, [])


class Signals(SynchronousTestCase):
    """SIGTERM, SIGINT and SIGHUP."""

    def test_stop_the_reactor(self) -> None:
        """Either stops it, a second one does no harm, and an ignored one stays ignored."""

        class Stopped(MemoryReactorClock):
            stops = 0

            def callFromThread(self, function: Any, *args: object, **kwargs: object) -> None:
                function(*args, **kwargs)

            def stop(self) -> None:
                self.stops += 1
                if self.stops > 1:
                    raise ReactorNotRunning

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        # Whoever started the tests may have had them ignore SIGINT, as shells do in the background.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        fake = Stopped()
        exit_on_signals(fake)
        signal.raise_signal(signal.SIGTERM)
        self.assertEqual(fake.stops, 1)
        signal.raise_signal(signal.SIGINT)
        self.assertEqual(fake.stops, 2)
        self.assertIs(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)


class CommandLine(SynchronousTestCase):
    """twistd's options for a node."""

    def test_config(self) -> None:
        """--config and its short form; none by default."""
        for arguments, config in (([], None), (["--config", "a"], "a"), (["-c", "a"], "a")):
            options = Options()
            options.parseOptions(arguments)
            self.assertEqual(options["config"], config)


class Processes(TestCase):
    """Real twistd processes, from outside."""

    timeout = 60

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()

    def config(self, text: str) -> str:
        path = self.directory / "node.toml"
        path.write_text(text)
        return f"--config={path}"

    def start(self, *arguments: str, **environ: str) -> Program:
        program = twistd(reactor, str(self.directory), *arguments, **environ)
        self.addCleanup(program.end)
        return program

    def assert_one_line(self, ended: Ended, line: str) -> None:
        self.assertEqual(ended.errors, f"tace: {line}\n")
        self.assertEqual(ended.status, 1)

    async def test_unknown_key(self) -> None:
        """One line that names it."""
        config = self.config("[observe]\nmetrics = 1\n")
        ended = await self.start(config).ended
        self.assert_one_line(
            ended,
            f"{self.directory}/node.toml: [observe] metrics: no such setting; "
            "[observe] has metrics_listen",
        )

    async def test_unknown_variable(self) -> None:
        """The environment is read, and as strictly as the file."""
        ended = await self.start(TACE_RING_REPLICAS="0").ended
        self.assert_one_line(
            ended, "TACE_RING_REPLICAS: 0 is not allowed; use a whole number, 1 to 32"
        )

    async def test_no_such_file(self) -> None:
        """--config of a file that is not there."""
        ended = await self.start("--config=absent.toml").ended
        self.assert_one_line(ended, "absent.toml: No such file or directory")

    async def test_taken_ports(self) -> None:
        """Either port: the line names it and its setting."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            for section, free in (("links", "gateway"), ("gateway", "links")):
                config = self.config(
                    f'[{section}]\nlisten = "tcp:{port}:interface=127.0.0.1"\n'
                    f'[{free}]\nlisten = "tcp:0:interface=127.0.0.1"\n'
                )
                ended = await self.start(config).ended
                self.assertEqual(ended.status, 1, ended)
                self.assertRegex(ended.errors, rf"^tace: [^\n]*{port}[^\n]*\n$")
                self.assertIn(f"[{section}] listen", ended.errors)

    async def test_unwritable_directory(self) -> None:
        """A data directory below a file: no user can make one there, root included."""
        (self.directory / "file").write_text("")
        config = self.config('[node]\ndata_dir = "file/node"\n')
        ended = await self.start(config).ended
        self.assertEqual(ended.status, 1, ended)
        self.assertRegex(ended.errors, rf"^tace: [^\n]*{self.directory}/file[^\n]*\n$")

    async def test_background(self) -> None:
        """Without -n: the waiting process tells the reason and fails, and no pid file stays."""
        (self.directory / "file").write_text("")
        config = self.config('[node]\ndata_dir = "file/node"\n')
        command = [*twistd_command(), "--pidfile=pid", "--logfile=log", "tace", config]
        program = Program(reactor, command, str(self.directory), environment())
        self.addCleanup(program.end)
        ended = await program.ended
        self.assertEqual(ended.status, 1, ended)
        self.assertRegex(ended.errors, "An error has occurred: .*tace: .*data_dir")
        self.assertIn("cannot be written", (self.directory / "log").read_text())
        # The one in the background has told the reason, and puts its things in order after that.
        while (self.directory / "pid").exists():
            await deferLater(reactor, 0.02)

    async def test_stop(self) -> None:
        """After either signal it ends by itself, with exit status 0, and can be started again."""
        config = self.config(
            '[node]\ndata_dir = "."\n'
            '[gateway]\nlisten = "tcp:0:interface=127.0.0.1"\n'
            '[links]\nlisten = "tcp:0:interface=127.0.0.1"\n'
        )
        for name in ("TERM", "INT"):
            node = self.start(config)
            await node.says("the node is up")
            node.signal(name)
            ended = await node.ended.addTimeout(10, reactor)
            self.assertEqual(ended.status, 0, ended)
            self.assertEqual(ended.errors, "")

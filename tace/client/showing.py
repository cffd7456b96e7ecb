"""Showing what was received: each message once, in the order it was said.

A message is shown, and only then marked as shown, under a lock that all processes of a home share:
a crash in between shows it again, and two programs on one home never both show it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tace.client.rows import HistoryMessage
from tace.client.sqlite import HomeDatabase
from tace.client.strangers import Policy, policy_of
from tace.e2ee.order import HoldBack

LOCK_RETRY_SECONDS = 0.05
LOCK_PATIENCE_SECONDS = 10.0
"""A program whose output nobody reads may hold the lock for ever; what is ready is then left to
it, or to the next one."""


class ShowingLock(Protocol):
    """Held by the one process of a home that is showing something."""

    def acquire(self) -> bool:
        """False when another process holds it."""

    def release(self) -> None:
        """Let go of it."""


class FileLock:
    """A lock that ends with its process, however that ends (flock)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def acquire(self) -> bool:
        file = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    def release(self) -> None:
        os.close(self._file)


class NoLock:
    """For a home in memory, which no other process sees."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        """Nothing is held."""


class Showing:
    """Puts received messages in order and shows them.

    :param show: prints one message, and returns when it is out of our hands.
    :param peer: only this person's messages; the others stay for another program.
    """

    def __init__(
        self,
        database: HomeDatabase,
        lock: ShowingLock,
        clock: IReactorTime,
        show: Callable[[HistoryMessage], None],
        peer: bytes | None = None,
    ) -> None:
        self._database = database
        self._lock = lock
        self._clock = clock
        self._show = show
        self._peer = peer
        self._held: dict[tuple[bytes, bytes], HoldBack[HistoryMessage | None]] = {}
        self._ready: list[HistoryMessage] = []
        self._taken: set[int] = set()
        self._catching_up = True
        self._timer: IDelayedCall | None = None
        self._idle: list[Deferred[None]] = []
        self._blocked_since: float | None = None

    def look(self) -> None:
        """Take up what may be shown now: what other programs on this home received and did not
        show, what was looked up or accepted meanwhile."""
        unshown = self._unshown()
        self._take([message for message in unshown if message.seq not in self._taken])
        self._taken = {message.seq for message in unshown}
        self._flush()

    def arrived(
        self, messages: Sequence[HistoryMessage], placed: Sequence[tuple[bytes, bytes, int]]
    ) -> None:
        """What a batch brought: messages, and places that nothing is shown at."""
        now = self._clock.seconds()
        for peer, device, counter in placed:
            self._release(self._hold_back(peer, device).offer(counter, None, now))
        if messages:
            self.look()
        else:
            self._flush()

    def _unshown(self) -> list[HistoryMessage]:
        ask = policy_of(self._database) is Policy.ASK
        return self._database.unshown(self._peer, ask=ask)

    def _take(self, messages: Sequence[HistoryMessage]) -> None:
        now = self._clock.seconds()
        for message in messages:
            hold_back = self._hold_back(message.peer, message.sender_device)
            self._release(hold_back.offer(message.counter, message, now))

    def catching_up(self) -> None:
        """What waits on the network is being fetched: gaps may still close."""
        self._catching_up = True

    def caught_up(self) -> None:
        """Nothing else waits there: whatever is held may go."""
        self._catching_up = False
        for hold_back in self._held.values():
            self._release(hold_back.caught_up())
        self._flush()

    def interrupted(self) -> None:
        """Nothing can be fetched for now: what is held waits its 2 seconds."""
        self._catching_up = False
        self._flush()

    def finished(self) -> Deferred[None]:
        """Fires when everything that may be shown has been, or another program has kept us from
        it for 10 s."""
        done: Deferred[None] = Deferred()
        self._idle.append(done)
        self._flush()
        return done

    def stop(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _hold_back(self, peer: bytes, device: bytes) -> HoldBack[HistoryMessage | None]:
        key = (peer, device)
        if key not in self._held:
            known = self._database.device(peer, device)
            self._held[key] = HoldBack(known.next_shown if known is not None else None)
        return self._held[key]

    def _release(self, released: Sequence[HistoryMessage | None]) -> None:
        self._ready += [message for message in released if message is not None]

    def _flush(self) -> None:
        """Show what is ready, and see when there is more."""
        if not self._catching_up:
            now = self._clock.seconds()
            for hold_back in self._held.values():
                self._release(hold_back.due(now))
        blocked = bool(self._ready) and not self._show_ready()
        if not blocked:
            self._blocked_since = None
        elif self._blocked_since is None:
            self._blocked_since = self._clock.seconds()
        if self._blocked_since is None or (
            self._clock.seconds() - self._blocked_since >= LOCK_PATIENCE_SECONDS
        ):
            idle, self._idle = self._idle, []
            for done in idle:
                done.callback(None)
        if blocked:
            self._wake(LOCK_RETRY_SECONDS)
            return
        deadlines = [each.deadline() for each in self._held.values()]
        due = [deadline for deadline in deadlines if deadline is not None]
        if due and not self._catching_up:
            self._wake(max(0.0, min(due) - self._clock.seconds()))

    def _wake(self, seconds: float) -> None:
        self.stop()
        self._timer = self._clock.callLater(seconds, self._flush)

    def _show_ready(self) -> bool:
        if not self._lock.acquire():
            return False
        try:
            ready, self._ready = self._ready, []
            shown: list[HistoryMessage] = []
            try:
                for message in ready:
                    if not self._database.shown(message.seq):
                        self._show(message)
                        shown.append(message)
            finally:
                if shown:
                    self._database.set_shown(shown)
        finally:
            self._lock.release()
        return True

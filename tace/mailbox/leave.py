"""The way of a node out of the network, step by step (page 2.4).

It says that it leaves, hands everything over, takes nothing new while the last of it is confirmed,
and says goodbye. Only its operator can have it leave: there is no message that asks for it. Killed
on the way it has lost nothing, and is a member again when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from tace.background import background
from tace.errors import StoreError, TaceError
from tace.mailbox.departure import ROUND_SECONDS, Departure, Progress

MAX_WATCHERS = 16
"""Who is told how it goes, at one time."""


class CannotLeave(TaceError):
    """Why it does not begin; the text is for the operator.

    :ivar consent: could it begin all the same, if the operator says so?
    """

    code = "cannot-leave"

    def __init__(self, why: str, *, consent: bool = False) -> None:
        super().__init__(why)
        self.consent = consent


class Stage(StrEnum):
    """How far it is."""

    STAYING = "staying"
    LEAVING = "leaving"
    """It still takes what is new."""
    CLOSING = "closing"
    """It does not, and has the last of it confirmed."""
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a leaving stands."""

    stage: Stage
    progress: Progress


class Words(Protocol):
    """What it says to the others."""

    async def say_leaving(self) -> int:
        """The next candidates are to take its place; how many nodes have heard it."""

    async def say_left(self) -> int:
        """It is gone; how many nodes have heard it."""


class Door(Protocol):
    """Where copies come in."""

    closed: bool


class Leave:
    """One leaving of one node.

    :param others: how many nodes there are that could keep its copies: living, and not leaving.
    :param replicas: N.
    :param is_member: has this node joined? Else it does not hold its part yet.
    :param doors: closed for the last comparison.
    """

    _log = Logger()

    def __init__(
        self,
        departure: Departure,
        words: Words,
        *,
        others: Callable[[], int],
        replicas: int,
        is_member: Callable[[], bool],
        doors: Sequence[Door],
        clock: IReactorTime,
    ) -> None:
        self._departure = departure
        self._words = words
        self._others = others
        self._replicas = replicas
        self._is_member = is_member
        self._doors = doors
        self._clock = clock
        self._watchers: list[Callable[[Standing], None]] = []
        self._left_listeners: list[Callable[[], object]] = []
        self._stop: Callable[[], None] = lambda: None
        self._keeps_rest = False
        self.standing = Standing(Stage.STAYING, Progress())

    def when_left(self, listener: Callable[[], object]) -> None:
        """Have it called when everything is handed over and said."""
        self._left_listeners.append(listener)

    @property
    def under_way(self) -> bool:
        return self.standing.stage is not Stage.STAYING

    def begin(self, *, consent: bool = False) -> None:
        """Leave; it goes on in the background.

        :param consent: also where there will be fewer copies than there should be.
        :raises CannotLeave: it does not begin, and why; nothing has changed.
        """
        if self.under_way:
            raise CannotLeave("this node is leaving already")
        if not self._is_member():
            raise CannotLeave("this node is still joining: wait until it is a member")
        others = self._others()
        if others < self._replicas and not consent:
            what = (
                "there is no other node: what is here would only stay in the data directory"
                if not others
                else f"there are {others} other nodes, for {self._replicas} copies of everything:"
                f" without this one there would be {others}"
            )
            raise CannotLeave(what, consent=True)
        self._keeps_rest = not others
        running = background("leave", self._leave())
        self._stop = running.cancel

    def stop(self) -> None:
        """The node stops before it has left: it will be a member when it starts again."""
        if self.standing.stage is not Stage.LEFT:
            self._stop()

    def watch(self, watcher: Callable[[Standing], None]) -> Callable[[], None]:
        """Have it told how it goes, at once and at every step; what is returned ends that.

        :raises CannotLeave: too many watch.
        """
        if len(self._watchers) >= MAX_WATCHERS:
            raise CannotLeave(f"{MAX_WATCHERS} are told already how it goes")
        self._watchers.append(watcher)
        watcher(self.standing)

        def unwatch() -> None:
            if watcher in self._watchers:
                self._watchers.remove(watcher)

        return unwatch

    async def _leave(self) -> None:
        self._tell(Stage.LEAVING, Progress())
        heard = await self._words.say_leaving()
        self._log.info("this node leaves; {count} others have heard it", count=heard)
        if not self._keeps_rest:
            await self._hand_over(Stage.LEAVING)
            for door in self._doors:
                door.closed = True
            await self._hand_over(Stage.CLOSING)
        await self._words.say_left()
        self._log.info("everything is handed over: this node has left")
        self._tell(Stage.LEFT, self.standing.progress)
        for listener in list(self._left_listeners):
            listener()

    async def _hand_over(self, stage: Stage) -> None:
        def tell(progress: Progress) -> None:
            self._tell(stage, progress)

        while True:
            try:
                await self._departure.hand_over(tell, closed=stage is Stage.CLOSING)
            except StoreError as error:
                # It may heal; what is here is not given up for that.
                tell(Progress(waiting=f"this disk fails: {error}"))
                await deferLater(self._clock, ROUND_SECONDS)
            else:
                return

    def _tell(self, stage: Stage, progress: Progress) -> None:
        self.standing = Standing(stage, progress)
        for watcher in list(self._watchers):
            watcher(self.standing)

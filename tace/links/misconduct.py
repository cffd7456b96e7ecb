"""What peers did wrong: counted by reason, and logged so that nobody can fill the log."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.limits import Notices
from tace.seams import Counters
from tace.wire.message import Message
from tace.wire.peer import PutAnswer

SELDOM_EARNED = frozenset(
    {"bad-record", "expired", "malformed", "stamp-required", "too-far-ahead", "unauthorized"}
)
"""Words with which requests, or objects in them, are refused and that a node which keeps to the
protocol hears seldom: it looks at what it passes on. The link goes on, but they are noted."""
FORGED = frozenset({"bad-record", "malformed"})
"""Those of them that are said of an object only after its signature, or most of it, was checked."""


def word_to_note(answer: Message) -> str:
    """The first such word in an answer about objects; empty where there is none."""
    if type(answer) is PutAnswer:
        for result in answer.results:
            if result.code in SELDOM_EARNED:
                return result.code
    return ""


def forgeries_in(answer: Message) -> int:
    """How many objects that do not hold were checked for this answer."""
    if type(answer) is not PutAnswer:
        return 0
    return sum(result.code in FORGED for result in answer.results)


class Misconduct:
    """One line for each address group in 10 s (:class:`~tace.limits.Notices`), and a counter.

    A line names the address group, our own word for what was wrong, and what our decoder said of
    it, which names fields and types and never values.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self._notices = Notices()

    def report(self, group: str, code: str, detail: str = "") -> None:
        """Something was wrong with a connection from, or to, ``group``.

        :param code: one of few words; it becomes a label of the counter ``links_refused``.
        """
        self._counters.count("links_refused", code=code)
        times = self._notices.note(group, self._clock.seconds())
        if times:
            self._log.warn(
                "refused {group}: {code}: {detail} ({times} since the last line about it)",
                group=group or "somebody",
                code=code,
                detail=detail or "no more is known",
                times=times,
            )

"""What clients did wrong: counted by word, and logged so that nobody can fill the log."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from tace.limits import Notices
from tace.seams import Counters


class ClientMisconduct:
    """One line for each address group in 10 s (:class:`~tace.limits.Notices`), and a counter.

    A line names the address group and our own word for what was wrong: nothing that the client
    said, no mailbox, no key.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, counters: Counters) -> None:
        self._clock = clock
        self._counters = counters
        self._notices = Notices()

    def report(self, group: str, code: str) -> None:
        """
        :param group: of the client's address; empty for this machine.
        :param code: one of few words; it becomes a label of ``client_misconduct_total``.
        """
        self._counters.count("client_misconduct_total", code=code)
        times = self._notices.note(group, self._clock.seconds())
        if times:
            self._log.warn(
                "client at {group}: {code} ({times} since the last line about it)",
                group=group or "this machine",
                code=code,
                times=times,
            )

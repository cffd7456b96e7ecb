"""The TestCase of tests with real sockets and processes."""

from __future__ import annotations

from twisted.internet import reactor, tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.trial.unittest import TestCase

from tests.smoke.stage.waiting import until

RESTS_WITHIN_SECONDS = 5.0


class SmokeCase(TestCase):
    """Ends when the connections that the test has closed are gone.

    Autobahn gives a closed connection a second to go before it cuts it, and its timer for that runs
    to its end; trial would call the reactor unclean.
    """

    timeout = 120

    def setUp(self) -> None:
        # Cleanups run last in, first out: this one after all others.
        self.addCleanup(lambda: Deferred.fromCoroutine(until("rest", _rests, RESTS_WITHIN_SECONDS)))


async def _rests() -> bool:
    selectables = [*reactor.getReaders(), *reactor.getWriters()]
    return not any(isinstance(each, tcp.Client) for each in selectables) and not any(
        _is_autobahns(call) for call in reactor.getDelayedCalls()
    )


def _is_autobahns(call: IDelayedCall) -> bool:
    function: object = getattr(call, "func", None)
    return str(getattr(function, "__module__", "")).partition(".")[0] in ("autobahn", "txaio")

"""A WebSocket client that keeps no rule of tace's protocol, and some of RFC 6455's."""

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError

from tace.errors import TaceError
from tace.lab.attack.ground import CUT, Ground, Once
from tace.wire.client import (
    CLIENT_MESSAGES,
    SUBPROTOCOL,
    Challenge,
    ClientRefused,
    Push,
    encode_client_message,
    split_client_message,
)
from tace.wire.message import Message

TOO_BIG = 1009
"""RFC 6455 section 7.4.1: a message that is too big is WebSocket's own matter."""


class RudeClient(WebSocketClientProtocol):
    """Says what an attack says.

    :ivar challenged: happens with the node's challenge.
    :ivar ended: happens with the word of the node's last refusal, ``too-large`` for close code
        1009, else ``cut``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.challenged: Once[Challenge] = Once()
        self.ended: Once[str] = Once()
        self.pushes = 0
        self._word = CUT
        self._answers: dict[int, Deferred[Message]] = {}

    def say(self, payload: bytes, *, binary: bool = True) -> None:
        if self.state == self.STATE_OPEN:
            self.sendMessage(payload, isBinary=binary)

    def ask(self, message: Message, request_id: int) -> Deferred[Message]:
        """The answer, whatever it is; ``ClientRefused`` with the last word where none comes."""
        answer: Deferred[Message] = Deferred(lambda _: self._forget(request_id))
        if self.ended.happened:
            answer.callback(ClientRefused(self._word))
        else:
            self._answers[request_id] = answer
            self.say(encode_client_message(message, request_id))
        return answer

    def _forget(self, request_id: int) -> None:
        self._answers.pop(request_id, None)

    def cut(self) -> None:
        if not self.ended.happened:
            self.dropConnection(abort=True)

    # -- Autobahn's side -------------------------------------------------------------------------

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        try:
            number, request_id, body = split_client_message(payload)
            message = CLIENT_MESSAGES.decode(number, body)
        except TaceError:
            return
        if isinstance(message, Challenge):
            self.challenged.happen(message)
        elif isinstance(message, ClientRefused) and not request_id:
            self._word = message.code
        elif request_id:
            answer = self._answers.pop(request_id, None)
            if answer is not None:
                answer.callback(message)
        elif isinstance(message, Push):
            self.pushes += 1

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if code == TOO_BIG:
            self._word = "too-large"
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            answer.callback(ClientRefused(self._word))
        self.ended.happen(self._word)


async def open_socket(ground: Ground) -> RudeClient | None:
    """A client that the node has challenged; None where the node does not take it."""
    address = ground.target.client
    factory = WebSocketClientFactory(
        address.socket_url, protocols=[SUBPROTOCOL], reactor=ground.reactor
    )
    factory.protocol = RudeClient
    factory.setProtocolOptions(
        serverConnectionDropTimeout=1, closeHandshakeTimeout=1, openHandshakeTimeout=5
    )
    endpoint = HostnameEndpoint(ground.reactor, address.host, address.port)
    try:
        client = await endpoint.connect(factory)
    except ConnectError:
        return None
    assert isinstance(client, RudeClient)
    if not await ground.happens(client.challenged, unless=client.ended):
        client.cut()
        return None
    return client

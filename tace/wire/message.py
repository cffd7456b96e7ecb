"""How a message is declared and turned into bytes and back.

A message is a frozen msgspec ``Struct`` laid out as a MessagePack array in field order. Decoding
ignores trailing elements it does not know, fills in defaults for missing ones, and answers
everything else with :class:`~tace.errors.ProtocolError`, whatever the bytes are.

Numbers are only ever appended, fields only at the end and with a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec

from tace.errors import ProtocolError, UnknownMessage

Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
PublicKey = Annotated[bytes, msgspec.Meta(min_length=33, max_length=33)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
UInt8 = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
UInt16 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
UInt63 = Annotated[int, msgspec.Meta(ge=0, le=0x7FFF_FFFF_FFFF_FFFF)]
Word = Annotated[str, msgspec.Meta(max_length=32)]
Line = Annotated[str, msgspec.Meta(max_length=200)]


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that stands in a frame.

    ``NUMBER`` is its type on the wire.
    """

    NUMBER: ClassVar[int]


A_co = TypeVar("A_co", bound=Message, covariant=True)


class Request(Message, Generic[A_co], frozen=True, array_like=True, gc=False):
    """A message that is answered; ``ANSWER`` is what a good answer looks like."""

    ANSWER: ClassVar[type[Message]]


_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """The body of the frame."""
    return _encoder.encode(message)


class MessageTable:
    """The messages of one protocol, by number."""

    def __init__(self, classes: Iterable[type[Message]]) -> None:
        self._decoders: dict[int, msgspec.msgpack.Decoder[Any]] = {}
        self.classes: dict[int, type[Message]] = {}
        for cls in classes:
            if cls.NUMBER in self.classes:
                raise ValueError(f"number {cls.NUMBER} is taken twice")
            self.classes[cls.NUMBER] = cls
            self._decoders[cls.NUMBER] = msgspec.msgpack.Decoder(cls)

    def decode(self, number: int, body: bytes) -> Message:
        """The message in a frame.

        :raises UnknownMessage: a number this version does not know.
        :raises ProtocolError: the body is not what that number declares.
        """
        decoder = self._decoders.get(number)
        if decoder is None:
            raise UnknownMessage(f"no message has number {number}")
        try:
            message: Message = decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            name = self.classes[number].__name__
            # The decoder's text names fields and types, never values.
            raise ProtocolError(f"{name}: {str(error)[:120]}") from None
        return message

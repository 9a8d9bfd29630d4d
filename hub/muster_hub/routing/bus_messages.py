"""What one node tells another over the bus: four kinds of notify, none of which anything rests on."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from muster_protocol.ids import ClientId


class PushToSeat(Struct, frozen=True, array_like=True, tag="push"):
    """Send this frame to a device, if that connection is still there."""

    client: ClientId
    connection: int
    frame: bytes


class NotifyInbox(Struct, frozen=True, array_like=True, tag="inbox"):
    """Something waits in the inbox of a device that is connected to you."""

    client: ClientId
    connection: int


class CloseSeat(Struct, frozen=True, array_like=True, tag="close"):
    """Close this connection with this code."""

    client: ClientId
    connection: int
    code: int


class NotifyPresence(Struct, frozen=True, array_like=True, tag="presence"):
    """A device came, went, or changed whom it trusts: look again for those who watch it."""

    client: ClientId


BusMessage = PushToSeat | NotifyInbox | CloseSeat | NotifyPresence

encode_bus_message: Callable[[BusMessage], bytes] = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[BusMessage] = msgspec.msgpack.Decoder(BusMessage)


def decode_bus_message(payload: bytes) -> BusMessage:
    """Decode what another node said; raises ``msgspec.DecodeError`` for what this version does not understand."""
    return _decoder.decode(payload)

"""The four messages that one node sends another over the bus. The bus may lose any; nothing depends on one."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from muster_protocol.ids import ClientId


class PushToConnection(Struct, frozen=True, array_like=True, tag="push"):
    """Send this frame to a device, if that connection still exists."""

    client: ClientId
    connection: int
    frame: bytes


class NotifyInbox(Struct, frozen=True, array_like=True, tag="inbox"):
    """Deliver what waits in the inbox of a device that is connected to the receiving node."""

    client: ClientId
    connection: int


class CloseConnection(Struct, frozen=True, array_like=True, tag="close"):
    """Close this connection with this code."""

    client: ClientId
    connection: int
    code: int


class NotifyPresence(Struct, frozen=True, array_like=True, tag="presence"):
    """Read a device's presence again: it connected, disconnected, or changed whom it trusts."""

    client: ClientId


BusMessage = PushToConnection | NotifyInbox | CloseConnection | NotifyPresence

encode_bus_message: Callable[[BusMessage], bytes] = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[BusMessage] = msgspec.msgpack.Decoder(BusMessage)


def decode_bus_message(payload: bytes) -> BusMessage:
    """Return the message of another node. Raises ``msgspec.DecodeError`` for one that this version does not know."""
    return _decoder.decode(payload)

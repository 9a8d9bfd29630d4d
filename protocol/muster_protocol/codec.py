"""Bytes to typed structs and back, with limits and one kind of error (SPEC.md section 2.1)."""

from functools import cache, partial
from typing import Any, NoReturn, TypeVar

import msgpack
import msgspec
from msgspec import Struct

from muster_protocol.errors import Refused
from muster_protocol.reasons import Reason

MAX_MESSAGE_BYTES = 65_536
"""The largest WebSocket message."""
MAX_DEPTH = 16
"""How deep arrays and maps may nest. The deepest of ours is 6; the parser's own limit is far higher."""
MAX_CONTAINERS = 2_048
"""Arrays and maps in one value. Ours have 300 at most, in a ``session`` reply; building each takes 0.2 µs."""
VERSION = 1
"""The value of ``v`` in every signed body."""

_CONTAINERS = frozenset((list, dict))
_HEADERS = bytes((*range(0x80, 0xA0), *range(0xDC, 0xE0)))
_NO_HEADERS = bytes(byte for byte in range(256) if byte not in _HEADERS)
_SHORT_BYTES = 256
"""Up to this size counting bytes is quicker than walking, and it is rarely in vain: little of the message is random."""

T = TypeVar("T", bound=Struct)
T_Container = TypeVar("T_Container", list[Any], dict[Any, Any])

_encoder = msgspec.msgpack.Encoder()
_skim = msgspec.msgpack.Decoder(msgspec.Raw).decode


def _no_extension(_code: int, _data: bytes) -> NoReturn:
    raise ValueError("an extension type")


# An object for each extension would take 2 µs, and one for each timestamp; as a number it takes no more than any.
_parse = partial(msgpack.unpackb, raw=False, strict_map_key=True, ext_hook=_no_extension, timestamp=1)


def encode(value: Struct) -> bytes:
    """Return the MessagePack bytes of a struct: shortest forms, fields in their declared order."""
    return _encoder.encode(value)


def unpack(data: bytes) -> object:
    """Decode any MessagePack value; raises ``Refused`` with ``too_large`` or ``malformed``, and nothing else."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise Refused(Reason.TOO_LARGE, f"more than {MAX_MESSAGE_BYTES} bytes")
    try:
        value = _build(data)
    except (ValueError, RecursionError):
        raise Refused(Reason.MALFORMED, "not MessagePack") from None
    if len(data) > _SHORT_BYTES or _count_headers(data) > MAX_DEPTH:
        _check_depth(value)
    return value


def _build(data: bytes) -> object:
    if len(data) > _SHORT_BYTES:
        # ``msgpack`` takes memory for all items that a header claims, for each of 1,000 nested headers.
        _skim(data)
    if _count_headers(data) <= MAX_CONTAINERS:
        return _parse(data)
    count = _ContainerCount()
    return _parse(data, list_hook=count, object_hook=count)


class _ContainerCount:
    """Counts arrays and maps as they are built, so that no more than the limit are built."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MAX_CONTAINERS

    def __call__(self, container: T_Container) -> T_Container:
        if not self._left:
            raise Refused(Reason.MALFORMED, f"more than {MAX_CONTAINERS} arrays and maps")
        self._left -= 1
        return container


def _count_headers(data: bytes) -> int:
    """Count the bytes that may begin an array or a map: there are no more of them, and they nest no deeper."""
    return len(data.translate(None, _NO_HEADERS))


def _check_depth(value: object) -> None:
    level: list[Any] = [value] if type(value) in _CONTAINERS else []
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise Refused(Reason.MALFORMED, f"nested deeper than {MAX_DEPTH}")
        level = [
            item for box in level for item in (box if type(box) is list else box.values()) if type(item) in _CONTAINERS
        ]


def convert(value: object, struct: type[T]) -> T:
    """Turn a decoded value into ``struct``; raises ``Refused(malformed)`` that names the field."""
    try:
        return msgspec.convert(value, struct, builtin_types=(bytes,))
    except msgspec.ValidationError as exc:
        raise Refused(Reason.MALFORMED, _where(exc)) from None


def _where(error: msgspec.ValidationError) -> str:
    # msgspec's sentence may quote a tag from the input; only the path behind it is safe to repeat.
    _, marker, path = str(error).rpartition(" - at `")
    return f"{path.rstrip('`')} is not what it must be" if marker else "not of the expected shape"


def decode_exact(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """Decode bytes that are exactly what encoding the value gives; None for all others, for any fault.

    A third of the time of ``unpack`` and ``convert``, and no limit is passed by: such bytes nest as deep as the type.
    """
    if len(data) > MAX_MESSAGE_BYTES:
        return None
    try:
        value = decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if encode(value) == data else None


@cache
def _decoder(struct: type[T]) -> msgspec.msgpack.Decoder[T]:
    return msgspec.msgpack.Decoder(struct)


def decode_closed(body: bytes, struct: type[T]) -> T:
    """Decode a closed body: an array that starts with ``v``, in exactly the bytes that encoding it gives.

    Raises ``Refused``: ``unsupported`` for another ``v``, else ``malformed`` or ``too_large``.
    """
    decoder: msgspec.msgpack.Decoder[T] = _decoder(struct)
    exact = decode_exact(body, decoder)
    if exact is not None:
        return exact
    value: Any = unpack(body)
    if not isinstance(value, list) or not value or type(value[0]) is not int:
        raise Refused(Reason.MALFORMED, "a body is an array that starts with its version")
    if value[0] != VERSION:
        raise Refused(Reason.UNSUPPORTED, "body version")
    decoded = convert(value, struct)
    if encode(decoded) != body:
        raise Refused(Reason.MALFORMED, "not the shortest encoding")
    return decoded

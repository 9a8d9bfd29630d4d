"""The cells of a script's reply, and arguments that carry a list: MessagePack arrays.

Text and bytes are the same to the scripts, so cells come back as bytes, integers, None and lists of them.
"""

from typing import TypeAlias, cast

import msgpack
import msgspec

from muster_protocol.signed import Signed

Cell: TypeAlias = int | str | bytes | list["Cell"] | None
Value: TypeAlias = int | bytes | list["Value"] | None

_decode_signed = msgspec.msgpack.Decoder(Signed).decode


def pack(*cells: Cell) -> bytes:
    """Return the bytes of one row."""
    return cast("bytes", msgpack.packb(cells, use_bin_type=False))


def unpack(data: bytes) -> list[Value]:
    """Read one row; raise ``ValueError`` for bytes that are none."""
    row = msgpack.unpackb(data, raw=True, strict_map_key=False)
    if not isinstance(row, list):
        raise ValueError("not a row")  # noqa: TRY004 - the bytes are wrong, not the caller's type
    return row


def text(value: object) -> str:
    """Read a cell that holds text; raise ``ValueError`` for any other."""
    if not isinstance(value, bytes):
        raise ValueError("not text")  # noqa: TRY004 - the same
    return value.decode()


def data(value: object) -> bytes:
    """Read a cell that holds bytes; raise ``ValueError`` for any other."""
    if not isinstance(value, bytes):
        raise ValueError("not bytes")  # noqa: TRY004 - the same
    return value


def signed(value: object) -> Signed:
    """Read a cell that holds an encoded statement; raise ``ValueError`` for any other."""
    return _decode_signed(data(value))


def number(value: object) -> int:
    """Read a cell that holds an integer, as itself or in digits; raise ``ValueError`` for any other."""
    if not isinstance(value, int | bytes):
        raise ValueError("not a number")  # noqa: TRY004 - the same
    return int(value)


def items(value: object) -> list[Value]:
    """Read a cell that holds a list; raise ``ValueError`` for any other."""
    if not isinstance(value, list):
        raise ValueError("not a list")  # noqa: TRY004 - the same
    return value


def pairs(value: object) -> list[tuple[Value, Value]]:
    """Read a list that holds names and values in turn, as the store returns a hash."""
    flat = items(value)
    return list(zip(flat[::2], flat[1::2], strict=True))

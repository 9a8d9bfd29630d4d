"""What the rows of the store hold, field by field: MessagePack arrays, packed here, read here and by the scripts.

The scripts' MessagePack is an old one, to which text and bytes are the same; so a row has no bytes type, and each kind
of row says which of its cells are text.
"""

from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple, TypeVar, cast

import msgpack
import msgspec
from msgspec import Struct

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.connect import Role
from muster_protocol.ids import Hash, InstanceId, Serial, TimeMs


class Seat(NamedTuple):
    """Where a connection is: its node, the incarnation that registered it, and its number."""

    node: str
    incarnation: str
    connection: int


class Row(Struct, frozen=True, array_like=True):
    """Any row; ``TEXT`` are the places of its cells that are text."""

    TEXT: ClassVar[tuple[int, ...]]


R = TypeVar("R", bound=Row)

ROWS_CACHED = 512
"""Rows of each kind that are not read again while their bytes are the same, a KiB each at most."""


class InstanceRow(Row, frozen=True, array_like=True):
    """One connection in ``keys.instances``, under its number: what it is, where, and since when (store's clock)."""

    TEXT: ClassVar = (1, 2, 3)

    instance: InstanceId
    role: Role
    node: str
    incarnation: str
    since_ms: TimeMs


class CompatibilityRow(Row, frozen=True, array_like=True):
    """``compat`` of a device: its protocol range, its application, and the modes it serves."""

    TEXT: ClassVar = (2, 3)

    low: int
    high: int
    app: str
    modes: tuple[Mode, ...]

    @property
    def protocol(self) -> ProtocolRange:
        """The protocol range as the decision takes it."""
        return ProtocolRange(self.low, self.high)


class PeerRow(Row, frozen=True, array_like=True):
    """One peer in ``keys.peers``: the newest trust or untrust, as the device signed it (an encoded ``Signed``)."""

    TEXT: ClassVar = (0,)

    kind: Literal["trust", "untrust"]
    serial: Serial
    hash: Hash
    fingerprint: bytes
    """Of the peer's key; empty for an untrust."""
    signed: bytes


class GrantRow(Row, frozen=True, array_like=True):
    """One peer in ``keys.grants``: the newest grant, its revocation, or the untrust that ended it.

    A revocation says nothing but its grant's id; what it leaves out is empty, 0 or None. An untrust counts as a
    revocation with its own serial, no grant's id, and ``signed`` empty: it stands in ``keys.peers``.
    """

    TEXT: ClassVar = (0, 5, 6)

    kind: Literal["grant", "revocation"]
    serial: Serial
    hash: Hash
    grant_id: bytes
    peer_fp: bytes
    mode: Mode | None
    profiles: tuple[str, ...] | None
    uses: Literal[0, 1]
    """1: a one-shot grant; 0: unlimited."""
    not_before: TimeMs
    expires_at: TimeMs
    signed: bytes


def pack(row: Row) -> bytes:
    """Give a row's bytes."""
    return cast("bytes", msgpack.packb(msgspec.structs.astuple(row), use_bin_type=False))


@lru_cache(maxsize=ROWS_CACHED)
def instance_row(data: bytes) -> InstanceRow:
    """Read a row; ValueError for bytes that are none of this kind, as with the others."""
    return _read(data, InstanceRow)


def compatibility_row(data: bytes) -> CompatibilityRow:
    """Read a row."""
    return _read(data, CompatibilityRow)


def peer_row(data: bytes) -> PeerRow:
    """Read a row."""
    return _read(data, PeerRow)


@lru_cache(maxsize=ROWS_CACHED)
def grant_row(data: bytes) -> GrantRow:
    """Read a row."""
    return _read(data, GrantRow)


def seat(number: int, row: InstanceRow) -> Seat:
    """Give the seat that a row describes."""
    return Seat(row.node, row.incarnation, number)


def _read(data: bytes, row: type[R]) -> R:
    cells = msgpack.unpackb(data, raw=True)
    for place in row.TEXT:
        cells[place] = _text(cells[place])
    return msgspec.convert(cells, row, builtin_types=(bytes,))


def _text(cell: object) -> object:
    if isinstance(cell, list):
        return [_text(item) for item in cell]
    return cell.decode() if isinstance(cell, bytes) else cell

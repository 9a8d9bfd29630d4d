"""The rows of the store, cell by cell: MessagePack arrays that Python and the scripts read and write.

These classes are the layouts. A script names the place of a cell by them: ``MEMBER.invite`` is the place of ``invite``
in MemberRow. A row may have further cells at its end, which a newer node wrote: readers ignore them, and a script that
changes a row keeps them.

The scripts' MessagePack is an old one, to which text and bytes are the same; so a row has no bytes type, and each kind
of row names its cells that are text.
"""

from functools import lru_cache
from typing import ClassVar, Literal, NamedTuple, TypeVar, cast

import msgpack
import msgspec
from msgspec import Struct

from muster_protocol.cards import Mode, ProtocolRange
from muster_protocol.connect import Role
from muster_protocol.frames import MemberState, Purpose
from muster_protocol.ids import (
    ClientId,
    Fingerprint,
    Hash,
    InstanceId,
    InviteId,
    Serial,
    SessionId,
    TimeMs,
)


class Location(NamedTuple):
    """Where a connection is: its node, the incarnation that registered it, and its number."""

    node: str
    incarnation: str
    connection: int


class Row(Struct, frozen=True, array_like=True):
    """A row; ``TEXT`` are the places of its cells that are text."""

    TEXT: ClassVar[tuple[int, ...]]


R = TypeVar("R", bound=Row)

ROWS_CACHED = 512
"""Rows of each kind that are cached by their bytes, a KiB each at most."""


class InstanceRow(Row, frozen=True, array_like=True):
    """One connection in ``keys.instances``, under its number: what it is, where, and since when (store's clock)."""

    TEXT: ClassVar = (1, 2, 3)

    instance: InstanceId
    role: Role
    node: str
    incarnation: str
    since_ms: TimeMs


class CompatibilityRow(Row, frozen=True, array_like=True):
    """The field ``compat`` of a device: its protocol range, its application, and the modes it serves."""

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

    A revocation has its grant's id; its other cells are empty, 0 or None. An untrust counts as a revocation with its
    own serial and no grant's id. It is listed for the grant where a later trust stands in ``keys.peers``.
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


class UnfinishedCutsRow(Row, frozen=True, array_like=True):
    """A field of a device, under ``cuts:peers:`` or ``cuts:grants:`` and a peer: cuts of a statement, not yet all made.

    ``hash`` is that of the newest statement about the peer in that key, ``ver`` that of its cuts.
    """

    TEXT: ClassVar = ()

    hash: Hash
    ver: int


class MemberRow(Row, frozen=True, array_like=True):
    """One member in ``keys.roster``, under its client id. ``invite`` is empty for the creator."""

    TEXT: ClassVar = (0, 3)

    state: MemberState
    fingerprint: Fingerprint
    since_ms: TimeMs
    reason: str
    """Why it is out; empty for a member, and for one who left by itself."""
    invite: bytes
    instance: bytes
    """The instance that joined; empty while the seat waits for its ``joined``."""
    last_epoch: int
    """The session's newest epoch when it went out, the last that it is shown; 0 for a member."""
    answered_at: TimeMs
    """The ``at`` of the answer for which it was admitted, by its own clock; 0 for the creator."""


class LiveInviteRow(Row, frozen=True, array_like=True):
    """One live invite in ``keys.invite_outcomes``, under ``live:`` and its device."""

    TEXT: ClassVar = (1, 5, 7)

    invite: InviteId
    state: Literal["sent", "answered"]
    expires_ms: TimeMs
    answer_hash: bytes
    refused_epoch: bytes
    """Hash of an epoch that was refused because of this invite; empty if none was."""
    refused_reason: str
    hash: Hash
    """Of the invite; other bytes under the same id are not live."""
    purpose: Purpose
    answered_at: TimeMs
    """The ``at`` of the answer that accepts it; 0 without one."""


class EndedInviteRow(Row, frozen=True, array_like=True):
    """One invite in ``keys.invite_outcomes`` that is live no more, under its id: whose it was, and how it ended.

    ``refusal_hash`` is that of the one answer that refused it, or gave its seat up; empty without such an answer.
    """

    TEXT: ClassVar = (0, 1)

    client: ClientId
    outcome: str
    refusal_hash: bytes


class UseRow(Row, frozen=True, array_like=True):
    """The use of a one-shot grant in ``keys.uses``, under the grant's id."""

    TEXT: ClassVar = (0, 2)

    session: SessionId
    invite: InviteId
    state: Literal["held", "spent"]
    since_ms: TimeMs
    shared: int
    """1: the same join was asked for more than once, and each request relies on the hold."""


class PushRow(Row, frozen=True, array_like=True):
    """One push in ``keys.inbox``, under its push id. Pushes are delivered by ``order``, lowest first.

    ``sender`` is the device that it comes from.
    """

    TEXT: ClassVar = (3,)

    order: int
    expires_ms: TimeMs
    frame: bytes
    sender: str


class DueRow(Row, frozen=True, array_like=True):
    """A seat in ``keys.due``: it is taken back if its ``joined`` does not come in time."""

    TEXT: ClassVar = (0, 1)

    session: SessionId
    client: ClientId
    invite: InviteId


class CutRow(Row, frozen=True, array_like=True):
    """The entry ``cut`` of an outbox: a restriction of a device to carry into one session."""

    TEXT: ClassVar = (0, 1, 3)

    device: ClientId
    session: SessionId
    ver: int
    why: str
    about: bytes


class AdmissionRow(Row, frozen=True, array_like=True):
    """The entry ``admission`` of an outbox: an admission to push once more, unless its device has joined."""

    TEXT: ClassVar = (0, 1)

    session: SessionId
    client: ClientId
    hash: Hash


class InviteEndRow(Row, frozen=True, array_like=True):
    """The entry ``invite_end`` of an outbox: the end of an invite, to put into its target's inbox.

    ``creator_key`` is the fingerprint under which the creator ended it.
    """

    TEXT: ClassVar = (0, 1, 3, 5)

    session: SessionId
    client: ClientId
    invite: InviteId
    creator: ClientId
    creator_key: Fingerprint
    reason: str


class NotifyRow(Row, frozen=True, array_like=True):
    """The entry ``notify`` of an outbox: a device to notify of its inbox."""

    TEXT: ClassVar = (0,)

    client: ClientId


class RecordRow(Row, frozen=True, array_like=True):
    """The entry ``record`` of an outbox: what happened, for the audit (SPEC.md section 10). Empty: does not apply."""

    TEXT: ClassVar = (0, 1, 2, 3, 4, 5)

    kind: str
    actor: str
    subject: str
    session: str
    outcome: str
    reason: str
    statement: bytes


class EnrolledRow(Row, frozen=True, array_like=True):
    """One device in ``keys.enrolled``: since when (store's clock), and who invited it; empty: the operator."""

    TEXT: ClassVar = (1,)

    since_ms: TimeMs
    by: str


class CodeRow(Row, frozen=True, array_like=True):
    """One code in ``keys.CODES``: when it was made (store's clock), by which device, and which one used it.

    ``by`` is empty for the operator, ``used_by`` while it waits.
    """

    TEXT: ClassVar = (1, 2)

    made_ms: TimeMs
    by: str
    used_by: str


def pack(row: Row) -> bytes:
    """Return a row's bytes."""
    return cast("bytes", msgpack.packb(msgspec.structs.astuple(row), use_bin_type=False))


@lru_cache(maxsize=ROWS_CACHED)
def instance_row(data: bytes) -> InstanceRow:
    """Read a row; raises ``ValueError`` for other bytes."""
    return read(data, InstanceRow)


@lru_cache(maxsize=ROWS_CACHED)
def grant_row(data: bytes) -> GrantRow:
    """Read a row; raises ``ValueError`` for other bytes."""
    return read(data, GrantRow)


def read(data: bytes, row: type[R]) -> R:
    """Read a row of this kind and ignore cells behind its own; raises ``ValueError`` for bytes that are no such row."""
    cells = msgpack.unpackb(data, raw=True)
    for index in row.TEXT:
        cells[index] = _text(cells[index])
    return msgspec.convert(cells, row, builtin_types=(bytes,))


def location(number: int, row: InstanceRow) -> Location:
    """Return the location of the connection that a row describes."""
    return Location(row.node, row.incarnation, number)


def _text(cell: object) -> object:
    if isinstance(cell, list):
        return [_text(item) for item in cell]
    return cell.decode() if isinstance(cell, bytes) else cell

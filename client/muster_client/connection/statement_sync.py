"""The synchronization of this device's statements with the hub, both ways (SPEC.md section 2.4)."""

from collections.abc import AsyncIterator
from enum import Enum, auto

from msgspec import Struct

from muster_client.connection.connection import HubConnection
from muster_client.device.device import Device
from muster_client.device.statements import RESTRICTION, Held, serial_of
from muster_client.errors import HubRefused
from muster_protocol.errors import Refused
from muster_protocol.frames import KindAndStatement, ListStatements, Ok, PutStatement, Statements
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason

MAX_PAGES = 256
"""Pages of own statements read at one connect; further ones are ignored."""


class PublishResult(Struct, frozen=True, kw_only=True):
    """One statement that was sent to the hub. ``reason`` None: the hub acknowledged it."""

    kind: Kind
    peer: ClientId | None
    serial: int
    reason: Reason | None


async def fetch_own(connection: HubConnection, device: Device) -> None:
    """Fetch the own statements that the hub has and this device does not know, and apply restrictions first.

    Must come before anything is published: a device restored from a backup learns here what it revoked since.
    """
    device.note_hub_time(connection.welcome.at)
    newest = connection.welcome.newest_serial
    synced = device.synced()
    if newest > synced:
        found = [entry async for page in _pages(connection, synced) for entry in page]
        ordered = sorted(found, key=lambda entry: entry.kind not in RESTRICTION)
        applied = [(entry, _apply(device, entry)) for entry in ordered]
        left = [_serial(entry) for entry, how in applied if how is _Applied.NO_ROOM]
        device.note_left(min(left, default=None))
        # Only a statement that verified moves the cursor: the hub's own number could move it past all that follow.
        device.mark_synced(max((_serial(entry) for entry, how in applied if how is _Applied.KNOWN), default=synced))
    device.hub_holds(newest)


class _Applied(Enum):
    KNOWN = auto()
    """The device knows it now; it may wait for the person."""
    NO_ROOM = auto()
    """As many wait for the person as are kept: the hub is asked for it again."""
    NONE = auto()
    """It is no statement of this device."""


async def _pages(connection: HubConnection, after: int) -> AsyncIterator[tuple[KindAndStatement, ...]]:
    for _ in range(MAX_PAGES):
        page = await connection.ask(ListStatements(id=0, after=after), Statements)
        yield page.statements
        if not page.more or not page.statements:
            return
        try:
            after = max(after + 1, _serial(page.statements[-1]))
        except Refused:
            # No honest hub ends a page with what is no statement.
            return


def _serial(entry: KindAndStatement) -> int:
    return serial_of(entry.kind, entry.statement)


def _apply(device: Device, entry: KindAndStatement) -> _Applied:
    """Apply an own statement."""
    try:
        device.apply_own(entry.kind, entry.statement)
    except Refused as refused:
        # Else signed by a retired key, not by this device, or dated far ahead: it has no meaning here.
        return _Applied.NO_ROOM if refused.reason is Reason.OVERLOADED else _Applied.NONE
    return _Applied.KNOWN


async def publish(connection: HubConnection, device: Device) -> tuple[PublishResult, ...]:
    """Send the hub every statement that it has not acknowledged, in order.

    The refusal of one does not hold up the others. Raises ``HubRefused`` for a reason that passes, ``HubUnreachable``.
    A hub whose store is full still takes restrictions; they are sent first.
    """
    return tuple([await _offer(connection, device, held) for held in device.unpublished()])


async def _offer(connection: HubConnection, device: Device, held: Held) -> PublishResult:
    reason: Reason | None = None
    try:
        await connection.ask(PutStatement(id=0, kind=held.kind, statement=held.signed), Ok)
        device.acknowledged(held.serial)
    except HubRefused as refused:
        if REASONS[refused.reason].retry:
            raise
        reason = refused.reason
    return PublishResult(kind=held.kind, peer=held.peer or None, serial=held.serial, reason=reason)

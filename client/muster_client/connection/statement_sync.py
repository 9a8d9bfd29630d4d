"""The synchronization of this device's statements with the hub, both ways (SPEC.md section 2.4)."""

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum, auto

from msgspec import Struct

from muster_client.connection.connection import HubConnection
from muster_client.connection.pages import read_pages
from muster_client.device.device import Device
from muster_client.device.statements import RESTRICTION, Held
from muster_client.errors import HubRefused
from muster_protocol.errors import Refused
from muster_protocol.frames import MAX_PAGE, KindAndStatement, ListStatements, Ok, PutStatement, Statements
from muster_protocol.ids import ClientId
from muster_protocol.labels import Kind
from muster_protocol.reasons import REASONS, Reason
from muster_protocol.serials import Version


class PublishResult(Struct, frozen=True, kw_only=True):
    """One statement that was sent to the hub. ``reason`` None: the hub acknowledged it."""

    kind: Kind
    peer: ClientId | None
    serial: int
    reason: Reason | None


async def fetch_own(connection: HubConnection, device: Device) -> None:
    """Fetch all own statements that the hub has, where they changed since the last time, and apply restrictions first.

    Must come before anything is published: a device restored from a backup learns here what it revoked since.
    """
    welcome = connection.welcome
    device.note_hub_time(welcome.at)
    # Any other number, not only a higher one: the hub or this device may have been restored.
    if welcome.changes != device.synced() and await _take_in_all(connection, device):
        device.mark_synced(welcome.changes)
    device.hub_holds(welcome.newest_serial)


async def _take_in_all(connection: HubConnection, device: Device) -> bool:
    """Return whether nothing is to be asked for again."""
    found = sorted(await _own_statements(connection), key=lambda entry: entry.kind not in RESTRICTION)
    applied: list[_Applied] = []
    for start in range(0, len(found), MAX_PAGE):
        applied += [_apply(device, entry) for entry in found[start : start + MAX_PAGE]]
        # Each of them may cost a signature and a write: meanwhile the loop serves the connection and the command lines.
        await asyncio.sleep(0)
    device.hub_lists([entry for entry, became in zip(found, applied, strict=True) if became is not _Applied.NONE])
    device.mark_left(left=_Applied.NO_ROOM in applied)
    return set(applied) <= {_Applied.KNOWN, _Applied.NONE}


class _Applied(Enum):
    KNOWN = auto()
    """The device knows it now; it may be unconfirmed."""
    NO_ROOM = auto()
    """As many are unconfirmed as are kept: the hub is asked for it again."""
    AHEAD = auto()
    """By this device's clock it is dated far ahead: the hub is asked for it again."""
    NONE = auto()
    """It is no statement of this device."""


_AGAIN = {Reason.OVERLOADED: _Applied.NO_ROOM, Reason.CLOCK_AHEAD: _Applied.AHEAD}


async def _own_statements(connection: HubConnection) -> list[KindAndStatement]:
    async def ask(known: Sequence[KindAndStatement]) -> tuple[Sequence[KindAndStatement], bool]:
        # By place and not by serial: a thief may sign many statements under one serial.
        page = await connection.ask(ListStatements(id=0, after=len(known)), Statements)
        return page.statements, page.more

    return await read_pages(ask)


def _apply(device: Device, entry: KindAndStatement) -> _Applied:
    """Apply an own statement."""
    try:
        device.apply_own(entry.kind, entry.statement)
    except Refused as refused:
        # Else signed by a retired key, or not by this device: it has no meaning here.
        return _AGAIN.get(refused.reason, _Applied.NONE)
    return _Applied.KNOWN


async def publish(connection: HubConnection, device: Device) -> tuple[PublishResult, ...]:
    """Send the hub every statement that it has not acknowledged, in order.

    The refusal of one does not hold up the others. Raises ``HubRefused`` for a reason that passes, ``NoReply``.
    A hub whose store is full still takes restrictions; they are sent first.
    """
    results = {held.version: await _put(connection, device, held) for held in device.unpublished()}
    replayed = [held for held in device.unpublished() if held.kind in RESTRICTION and _replayed(results, held)]
    if replayed:
        # The clock went back, or a copy of the key dated its statement later. What was taken back here ends it there.
        await _take_in_all(connection, device)
    for held in replayed:
        newer = device.peers.sign_newer(held)
        if newer is not None:
            results[held.version] = await _put(connection, device, newer)
    return tuple(results.values())


def _replayed(results: Mapping[Version, PublishResult], held: Held) -> bool:
    result = results.get(held.version)
    return result is not None and result.reason is Reason.REPLAYED


async def _put(connection: HubConnection, device: Device, held: Held) -> PublishResult:
    reason: Reason | None = None
    try:
        await connection.ask(PutStatement(id=0, kind=held.kind, statement=held.signed), Ok)
        device.acknowledged(held.version)
    except HubRefused as refused:
        if REASONS[refused.reason].retry:
            raise
        reason = refused.reason
    return PublishResult(kind=held.kind, peer=held.peer or None, serial=held.serial, reason=reason)

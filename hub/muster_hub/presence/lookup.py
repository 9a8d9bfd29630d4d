"""Presence lookup: whether a device is online, for another device that asks (SPEC.md section 5).

A device shows its presence only to those whom it trusts. Any other asker sees ``hidden``, after the same calls to the
store and in the same bytes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from muster_hub.context import NodeContext
from muster_hub.presence.record import Instances, PresenceRecord, read_presence
from muster_hub.presence.registry import depart
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InstanceRow, Location, location
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause, Presence, PresenceState
from muster_protocol.ids import ClientId, Fingerprint, TimeMs

LAPSE_AFTER_MS = 10_000
"""Minimum age of an entry that counts as a lost node's: by then every node knows of a node that has just started."""
WATCH_LEASE_MS = 90_000
"""How long a node is notified of a device's changes after it last renewed its watch."""
MAX_LOOKS_AT_ONCE = 256

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """The device that asks, and its key."""

    client: ClientId
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Observation:
    """What an asker may know of a device.

    ``holders`` are the nodes, with incarnation, on which it is online. ``expected``: it is offline because its node
    stopped as planned, and should be back soon. ``lost`` are the numbers of its connections that lost nodes left in the
    store; ``remove_lost`` removes them.
    """

    presence: Presence
    holders: frozenset[tuple[str, str]] = frozenset()
    expected: bool = False
    lost: tuple[int, ...] = ()


def live_agents(context: NodeContext, connected: Instances) -> list[Location]:
    """Return the agents among a device's connections that are on a live node."""
    agents = [location(number, row) for number, row in connected if row.role is Role.AGENT]
    return [at for at in agents if context.nodes.live(at.node, at.incarnation)]


async def observe_all(
    context: NodeContext, pairs: Sequence[tuple[Asker, ClientId]], *, watching: bool = False
) -> list[Observation]:
    """Observe devices for askers; return the observations in the same order."""
    found: list[Observation] = []
    for start in range(0, len(pairs), MAX_LOOKS_AT_ONCE):
        batch = pairs[start : start + MAX_LOOKS_AT_ONCE]
        found += await asyncio.gather(*(observe(context, asker, client, watching=watching) for asker, client in batch))
    return found


async def observe(context: NodeContext, asker: Asker, client: ClientId, *, watching: bool = False) -> Observation:
    """Observe one device for one asker; return ``unknown`` while the store is unavailable.

    ``watching`` also renews this node's watch of the device for WATCH_LEASE_MS.
    """
    node = context.nodes.node if watching else ""
    try:
        found = await read_presence(
            context.store, client, asker.client, asker.fingerprint, watching_node=node, watch_ms=WATCH_LEASE_MS
        )
        if not found.trusts(asker.fingerprint):
            return Observation(hidden(client))
        return _visible(context, client, found, await context.store.now_ms())
    except StoreUnavailable:
        return Observation(unknown(client, None))


def hidden(client: ClientId) -> Presence:
    """Return what an asker learns of a device that does not trust it."""
    return Presence(client, PresenceState.HIDDEN, None, None)


def unknown(client: ClientId, since: TimeMs | None) -> Presence:
    """Return the presence of a device while it cannot be known."""
    return Presence(client, PresenceState.UNKNOWN, since, None)


def lapsed(context: NodeContext, row: InstanceRow, now_ms: int) -> bool:
    """Return whether an entry is certainly that of a lost node. ``now_ms`` is the store's clock."""
    old = now_ms - row.since_ms > LAPSE_AFTER_MS
    return old and context.nodes.acting() and not context.nodes.live(row.node, row.incarnation)


async def remove_lost(context: NodeContext, observed: Sequence[Observation]) -> None:
    """Remove the connections that lost nodes left, which also records when and why each device went offline.

    While the store is unavailable they stay, and a later observation finds them again.
    """
    lost = list({one.presence.client: one.lost for one in observed if one.lost}.items())
    for start in range(0, len(lost), MAX_LOOKS_AT_ONCE):
        batch = lost[start : start + MAX_LOOKS_AT_ONCE]
        await asyncio.gather(*(_remove(context, client, numbers) for client, numbers in batch))


async def _remove(context: NodeContext, client: ClientId, numbers: Sequence[int]) -> None:
    try:
        await depart(context.store, client, numbers, DropCause.NODE_LOST)
    except StoreUnavailable as error:
        _log.info("lost_connections_not_removed", client=client[:8], cause=error.cause)


def _visible(context: NodeContext, client: ClientId, found: PresenceRecord, now_ms: int) -> Observation:
    live = [row for _, row in found.instances if context.nodes.live(row.node, row.incarnation)]
    if live:
        since = TimeMs(min(row.since_ms for row in live))
        holders = frozenset((row.node, row.incarnation) for row in live)
        return Observation(Presence(client, PresenceState.ONLINE, since, None), holders)
    if found.instances:
        lost = tuple(number for number, row in found.instances if lapsed(context, row, now_ms))
        return Observation(Presence(client, PresenceState.OFFLINE, TimeMs(now_ms), DropCause.NODE_LOST), lost=lost)
    offline = Presence(client, PresenceState.OFFLINE, found.last_seen, found.cause)
    return Observation(offline, expected=found.back_by_ms > now_ms)

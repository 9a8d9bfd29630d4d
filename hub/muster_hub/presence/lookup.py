"""Looking at a device for somebody who asks whether it is online (SPEC.md section 5).

A device shows itself to those whom it trusts and nobody else. Whoever may not know sees ``hidden``, from the same calls
to the store and in the same bytes.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from muster_hub.context import NodeContext
from muster_hub.presence.registry import Instances, PresenceRecord, depart, read_presence
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InstanceRow, Seat, seat
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause, Presence, PresenceState
from muster_protocol.ids import ClientId, Fingerprint, TimeMs

LAPSE_AFTER_MS = 10_000
"""How old an entry is at least before it may count as a lost node's: by then every other node knows a new one."""
WATCH_LEASE_MS = 90_000
"""How long a node is told of changes, unless it says again that it watches."""
MAX_LOOKS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to know."""

    client: ClientId
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class Observation:
    """What an asker may know of a device; ``holders`` are the nodes, with incarnation, that hold it online.

    ``expected``: it is offline because its node ended as planned, and should be back any moment.
    """

    presence: Presence
    holders: frozenset[tuple[str, str]] = frozenset()
    expected: bool = False


def live_agents(context: NodeContext, connected: Instances) -> list[Seat]:
    """Give the agents among a device's connections that a live node holds."""
    agents = [seat(number, row) for number, row in connected if row.role is Role.AGENT]
    return [at for at in agents if context.nodes.live(at.node, at.incarnation)]


async def observe_all(
    context: NodeContext, pairs: Sequence[tuple[Asker, ClientId]], *, watching: bool = False
) -> list[Observation]:
    """Look at devices for askers, in their order."""
    found: list[Observation] = []
    for start in range(0, len(pairs), MAX_LOOKS_AT_ONCE):
        batch = pairs[start : start + MAX_LOOKS_AT_ONCE]
        found += await asyncio.gather(*(observe(context, asker, client, watching=watching) for asker, client in batch))
    return found


async def observe(context: NodeContext, asker: Asker, client: ClientId, *, watching: bool = False) -> Observation:
    """Look at one device for one asker; ``unknown`` while the store is away."""
    node = context.nodes.node if watching else ""
    try:
        found = await read_presence(
            context.store, client, asker.client, asker.fingerprint, watching_node=node, watch_ms=WATCH_LEASE_MS
        )
        if not found.trusts(asker.fingerprint):
            return Observation(Presence(client, PresenceState.HIDDEN, None, None))
        return await _visible(context, client, found)
    except StoreUnavailable:
        return Observation(unknown(client, None))


def unknown(client: ClientId, since: TimeMs | None) -> Presence:
    """Give what is said of a device while nothing can be known."""
    return Presence(client, PresenceState.UNKNOWN, since, None)


def lapsed(context: NodeContext, row: InstanceRow, now_ms: int) -> bool:
    """Tell whether an entry is that of a lost node, for certain."""
    old = now_ms - row.since_ms > LAPSE_AFTER_MS
    return old and context.nodes.acting() and not context.nodes.live(row.node, row.incarnation)


async def _visible(context: NodeContext, client: ClientId, found: PresenceRecord) -> Observation:
    live = [row for _, row in found.instances if context.nodes.live(row.node, row.incarnation)]
    if live:
        since = TimeMs(min(row.since_ms for row in live))
        holders = frozenset((row.node, row.incarnation) for row in live)
        return Observation(Presence(client, PresenceState.ONLINE, since, None), holders)
    if found.instances:
        return Observation(
            Presence(client, PresenceState.OFFLINE, await _lose(context, client, found), DropCause.NODE_LOST)
        )
    expected = found.back_by_ms > await context.store.now_ms()
    return Observation(Presence(client, PresenceState.OFFLINE, found.last_seen, found.cause), expected=expected)


async def _lose(context: NodeContext, client: ClientId, found: PresenceRecord) -> TimeMs:
    """Take the entries of lost nodes out, which writes down when and why the device went; return that time."""
    now_ms = await context.store.now_ms()
    lost = [number for number, row in found.instances if lapsed(context, row, now_ms)]
    if lost:
        await depart(context.store, client, lost, DropCause.NODE_LOST)
    return TimeMs(now_ms)

"""Entering a node's connections into the store anew: under a new incarnation, and now and then so that they last."""

import asyncio
from collections.abc import Sequence

import structlog

from muster_hub.context import Hub
from muster_hub.presence.registry import register
from muster_hub.routing.router import LocalConnection
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InstanceRow
from muster_protocol.closes import CloseCode
from muster_protocol.ids import TimeMs

BATCH = 256
"""Connections entered at once."""
RETRY_S = 0.5
REFRESH_EVERY_S = 6 * 3600.0
"""How often the entries of all connections are made to last: a quarter of what a stranger's entry lasts."""

_log = structlog.get_logger(__name__)


async def register_all(hub: Hub) -> None:
    """Enter every connection of this node; close those whose place is another's by now."""
    waiting: Sequence[LocalConnection] = list(hub.reach)
    _log.info("registering", connections=len(waiting), incarnation=hub.nodes.incarnation[:8])
    while waiting:
        batch, rest = waiting[:BATCH], waiting[BATCH:]
        outcomes = await asyncio.gather(*(_register(hub, connection) for connection in batch), return_exceptions=True)
        failed = [one for one, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, StoreUnavailable)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, StoreUnavailable):
                raise outcome
        if failed:
            await asyncio.sleep(RETRY_S)
        waiting = [*failed, *rest]


async def refresh(hub: Hub) -> None:
    """Make all entries last, again and again, until cancelled."""
    while True:
        await asyncio.sleep(REFRESH_EVERY_S)
        await register_all(hub)


async def _register(hub: Hub, connection: LocalConnection) -> None:
    if hub.reach.local(connection.client, connection.number) is not connection:
        return  # it left meanwhile
    caller = connection.caller
    since = TimeMs(await hub.store.now_ms())
    row = InstanceRow(caller.instance, caller.role, hub.nodes.node, hub.nodes.incarnation, since)
    watching = await register(hub.store, caller.client, caller.connection, row, caller.fingerprint)
    if watching is None:
        connection.close(CloseCode.SUPERSEDED)
    else:
        hub.reach.nudge_presence(caller.client, watching)

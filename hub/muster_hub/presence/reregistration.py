"""Registering a node's connections again: under a new incarnation, and regularly so that the entries do not expire."""

import asyncio
from collections.abc import Sequence

import structlog

from muster_hub.context import NodeContext
from muster_hub.presence.registry import register
from muster_hub.routing.services import LocalConnection
from muster_hub.store.errors import StoreUnavailable
from muster_hub.store.rows import InstanceRow
from muster_protocol.closes import CloseCode
from muster_protocol.ids import TimeMs

BATCH = 256
"""Connections registered at once."""
RETRY_S = 0.5
REFRESH_EVERY_S = 6 * 3600.0
"""How often all connections are registered again: a quarter of the day after which the entry of a device without
statements expires. What others have at the hub is kept for DEVICE_KEPT_MS from then on."""

_log = structlog.get_logger(__name__)


async def register_all(context: NodeContext) -> None:
    """Register every connection of this node; close those that another connection has superseded."""
    waiting: Sequence[LocalConnection] = list(context.router)
    _log.info("registering", connections=len(waiting), incarnation=context.nodes.incarnation[:8])
    while waiting:
        batch, rest = waiting[:BATCH], waiting[BATCH:]
        outcomes = await asyncio.gather(
            *(_register(context, connection) for connection in batch), return_exceptions=True
        )
        failed = [one for one, outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, StoreUnavailable)]
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, StoreUnavailable):
                raise outcome
        if failed:
            await asyncio.sleep(RETRY_S)
        waiting = [*failed, *rest]


async def refresh(context: NodeContext) -> None:
    """Register all connections every REFRESH_EVERY_S, until cancelled."""
    while True:
        await asyncio.sleep(REFRESH_EVERY_S)
        await register_all(context)


async def _register(context: NodeContext, connection: LocalConnection) -> None:
    if context.router.local(connection.client, connection.number) is not connection:
        return  # it closed in the meantime
    caller = connection.caller
    since = TimeMs(await context.store.now_ms())
    row = InstanceRow(caller.instance, caller.role, context.nodes.node, context.nodes.incarnation, since)
    watching = await register(context.store, caller, row, only_enrolled=context.only_enrolled)
    if watching is None:
        connection.close(CloseCode.SUPERSEDED)
    else:
        context.router.notify_presence(caller.client, watching)

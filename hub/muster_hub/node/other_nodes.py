"""What reaches a node from the others: messages of the bus, and the end of their leases or of its own."""

import asyncio

import msgspec
import structlog

from muster_hub.concurrency import Tasks
from muster_hub.context import NodeContext
from muster_hub.node.lease import LeasedNodes
from muster_hub.node.resync import Resync
from muster_hub.presence.reregistration import register_all
from muster_hub.presence.watches import PresenceWatches
from muster_hub.routing.bus_messages import decode_bus_message
from muster_hub.store.leases import RENEW_EVERY_S, NodeLost, Renewed

KNOWN_AFTER_S = 1.5 * RENEW_EVERY_S
"""By then each other node has read a new lease; a device that connected earlier would seem offline to them."""

_log = structlog.get_logger(__name__)


class OtherNodes:
    """Implements ``bus.BusHandler`` and ``lease_keeper.LeaseHandler`` for one node."""

    __slots__ = ("_context", "_nodes", "_resync", "_tasks", "_watches")

    def __init__(
        self, context: NodeContext, nodes: LeasedNodes, watches: PresenceWatches, resync: Resync, tasks: Tasks
    ) -> None:
        self._context = context
        self._nodes = nodes
        self._watches = watches
        self._resync = resync
        self._tasks = tasks

    async def receive(self, payload: bytes) -> None:
        """Do what a message asks for, unless this node may not act: the sender's outbox repeats what must arrive."""
        if not self._nodes.acting():
            return
        try:
            self._context.router.receive(decode_bus_message(payload))
        except msgspec.DecodeError:
            _log.warning("bus_message_unknown")

    def recovered(self) -> None:
        """Read again what messages may have been missed about."""
        self._watches.look_at_all()
        self._resync.recovered()

    def lease_changed(self, change: NodeLost | Renewed) -> None:
        """Show the devices of a lost node as gone; register this node's connections under its new incarnation."""
        if isinstance(change, NodeLost):
            _log.warning("node_lost", node=change.node, incarnation=change.incarnation[:8])
            self._watches.node_lost(change.node, change.incarnation)
        elif len(self._context.router):
            self._nodes.registrations += 1
            self._tasks.spawn(self._register())

    async def _register(self) -> None:
        try:
            await asyncio.sleep(KNOWN_AFTER_S)
            await register_all(self._context)
        finally:
            self._nodes.registrations -= 1

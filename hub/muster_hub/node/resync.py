"""Resynchronize local agents after missed bus messages (SPEC.md section 8).

The bus only notifies. A node that was unsubscribed, or still is, resynchronizes the agents connected to it: it delivers
what waits for them, which also finds a connection that another one replaced, and makes them read their sessions
again. All of that only reads.
"""

import asyncio
from collections.abc import Sequence

import structlog

from muster_hub.concurrency import together
from muster_hub.context import NodeContext
from muster_hub.node.bus_link import BusLink
from muster_hub.routing.services import LocalConnection
from muster_hub.sessions.updates import update
from muster_hub.sessions.views import read_session_index
from muster_hub.store.errors import StoreError
from muster_protocol.frames import encode_frame

PASS_EVERY_S = 5.0
"""How often a node without a working bus resynchronizes its agents."""
BATCH = 256
"""Agents that are resynchronized at the same time."""
PAUSE_S = 0.05
CHANGED = "changed"

_log = structlog.get_logger(__name__)


class Resync:
    """Resynchronizes the agents of one node when its bus works again, and periodically while it does not."""

    __slots__ = ("_bus", "_context", "_due")

    def __init__(self, context: NodeContext, bus: BusLink) -> None:
        self._context = context
        self._bus = bus
        self._due = asyncio.Event()

    def recovered(self) -> None:
        """Resynchronize all agents soon: the bus works again, and messages may have been missed."""
        self._due.set()

    async def run(self) -> None:
        """Resynchronize the agents whenever it is due, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(PASS_EVERY_S):
                    await self._due.wait()
            except TimeoutError:
                if not self._bus.unsubscribed:
                    continue
            self._due.clear()
            if self._context.nodes.acting():
                await self._resync_all()

    async def _resync_all(self) -> None:
        router = self._context.router
        agents = [connection for connection in router if connection is router.local_agent(connection.client)]
        for start in range(0, len(agents), BATCH):
            try:
                await self._resync(agents[start : start + BATCH])
            except StoreError as error:
                _log.info("agents_not_resynchronized", left=len(agents) - start, error=str(error))
                return  # the store is away, and with it the bus: it is due again when the bus works
            await asyncio.sleep(PAUSE_S)

    async def _resync(self, agents: Sequence[LocalConnection]) -> None:
        for connection in agents:
            connection.deliver_inbox()
        await together(*(self._send_changed(connection) for connection in agents))

    async def _send_changed(self, connection: LocalConnection) -> None:
        """Make an agent read its sessions again: live pushes about them may have been lost."""
        for session in await read_session_index(self._context, connection.client):
            connection.send(encode_frame(update(session, None, CHANGED)))

"""Departures: removing closed connections from the store, in the background, in batches, retried until done."""

import asyncio
from itertools import islice
from typing import NamedTuple

import structlog

from muster_hub.concurrency import together
from muster_hub.context import Nodes
from muster_hub.presence.record import read_presence
from muster_hub.presence.registry import depart
from muster_hub.routing.router import Router
from muster_hub.store.adapter import Store
from muster_hub.store.errors import StoreError
from muster_protocol.frames import DropCause
from muster_protocol.ids import ClientId, Fingerprint

BATCH = 256
"""Departures sent to the store at once."""
RETRY_S = 1.0
MAX_SUSPECTS = 20_000
"""Devices that may have an entry without a connection; any beyond it keep their entry until this node ends."""

_log = structlog.get_logger(__name__)


class _Departed(NamedTuple):
    client: ClientId
    number: int


class Departures:
    """Connections of this node to remove from the store: those that closed, and entries without a connection."""

    __slots__ = (
        "_back_by_ms",
        "_entering",
        "_left",
        "_nodes",
        "_router",
        "_settled",
        "_store",
        "_suspects",
        "_wake",
    )

    def __init__(self, store: Store, router: Router, nodes: Nodes) -> None:
        self._store = store
        self._router = router
        self._nodes = nodes
        self._left: dict[_Departed, DropCause] = {}
        self._back_by_ms = 0
        self._suspects: set[ClientId] = set()
        self._entering: dict[ClientId, int] = {}
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()

    def note(self, client: ClientId, number: int, cause: DropCause) -> None:
        """Remove a closed connection from the store. The limit on connections bounds these too."""
        self._left[_Departed(client, number)] = cause
        self._start_work()

    def expect_back(self, by_ms: int) -> None:
        """Record, with every departure from now on, that the device should be back by then: this node is stopping.

        ``by_ms`` is a time of the store's clock.
        """
        self._back_by_ms = by_ms

    def suspect(self, client: ClientId) -> None:
        """Look for entries of this node that have no connection, after a call whose outcome is unknown."""
        if len(self._suspects) < MAX_SUSPECTS:
            self._suspects.add(client)
            self._start_work()

    def entering(self, client: ClientId, step: int) -> None:
        """Count the device's handshakes in progress (+1, later -1): their entries have no connection yet."""
        count = self._entering.get(client, 0) + step
        if count:
            self._entering[client] = count
        else:
            self._entering.pop(client, None)
            if client in self._suspects:
                self._start_work()  # its check waited for this

    async def settled(self) -> None:
        """Wait until the store has all departures."""
        await self._settled.wait()

    async def run(self) -> None:
        """Send departures to the store, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._send_all()
            except StoreError as error:
                _log.info("departures_wait", left=len(self._left), suspects=len(self._suspects), error=str(error))
                await asyncio.sleep(RETRY_S)
                self._wake.set()
            else:
                self._settle()

    def _start_work(self) -> None:
        self._settled.clear()
        self._wake.set()

    def _settle(self) -> None:
        if not self._left and not self._suspects:
            self._settled.set()

    async def _send_all(self) -> None:
        while self._left:
            batch = dict(islice(self._left.items(), BATCH))
            await together(*(self._send(departed, cause) for departed, cause in batch.items()))
        for client in tuple(self._suspects):
            if client in self._entering:
                continue
            self._suspects.discard(client)
            await self._check(client)

    async def _send(self, departed: _Departed, cause: DropCause) -> None:
        watching = await depart(self._store, departed.client, [departed.number], cause, back_by_ms=self._back_by_ms)
        self._left.pop(departed, None)
        if watching:
            self._router.notify_presence(departed.client, watching)

    async def _check(self, client: ClientId) -> None:
        try:
            found = await read_presence(self._store, client, client, Fingerprint(b""))
        except StoreError:
            self._suspects.add(client)
            raise
        for number, row in found.instances:
            ours = (row.node, row.incarnation) == (self._nodes.node, self._nodes.incarnation)
            if ours and client not in self._entering and self._router.local(client, number) is None:
                self.note(client, number, DropCause.CLOSED)

"""Presence requests: ``who``, answered once, and ``watch``, followed by a push for every change.

A watcher gets a push at most once a second. A disconnect is announced only once it has lasted ``SETTLE_S``; one caused
by a planned stop of a node, only once the device should have been back.

Each look at a watched device, because something changed or to renew the watch, is paid by the watching device as its
requests are. While it cannot, its watch waits.
"""

import asyncio
from collections.abc import Set as AbstractSet

from muster_hub.context import NodeContext
from muster_hub.presence.lookup import Asker, Observation, observe_all, remove_lost, unknown
from muster_hub.presence.registry import check_current
from muster_hub.presence.watch_table import DeviceWatch, WatchKey, WatchTable, is_unknown
from muster_hub.rate_limits.costs import LOOKUP
from muster_hub.routing.caller import Caller
from muster_hub.store.errors import StoreUnavailable
from muster_protocol.errors import Refused
from muster_protocol.frames import MAX_WATCHED, Presence, PresencePush, PresenceReply, Watch, Who, encode_frame
from muster_protocol.ids import ClientId
from muster_protocol.reasons import Reason

PUSH_EVERY_S = 1.0
RENEW_EVERY_S = 30.0
"""How often a node renews its watches in the store and observes all watched devices again."""
ROOM_AGAIN_MS = 30_000
"""When a device whose address watches too many may ask again: others may have left by then."""
RESERVED = MAX_WATCHED * LOOKUP
"""Units that watches leave in an allowance, so that the requests of the device itself are still served."""


class PresenceWatches:
    """The presence watches of this node's connections, and the pushes to them."""

    __slots__ = ("_dirty", "_loop", "_renewed_at_s", "_table", "_unrenewed", "_wake")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._table = WatchTable()
        self._dirty: dict[WatchKey, set[ClientId]] = {}
        self._wake = asyncio.Event()
        self._renewed_at_s = self._loop.time()

    # Use cases and connections call these.

    async def who(self, context: NodeContext, caller: Caller, request: Who) -> PresenceReply:
        """Answer which devices are online; ``unknown``, with the time last known, while the store does not answer."""
        seen = await self._observe(context, caller, request, watching=False)
        known = [one.presence for one in seen]
        devices = (self._last(caller, one.client) if is_unknown(one) else one for one in known)
        return PresenceReply(re=request.id, devices=tuple(devices))

    def last_known(self, caller: Caller, request: Who) -> PresenceReply:
        """Answer ``who`` without the store: ``unknown`` for all."""
        return PresenceReply(re=request.id, devices=tuple(self._last(caller, client) for client in request.clients))

    async def watch(self, context: NodeContext, caller: Caller, request: Watch) -> PresenceReply:
        """Answer which devices are online and push their changes to this connection; replace its last ``watch``.

        Raises ``Refused(rate_limited)`` where its address watches too many.
        """
        self.forget(caller.client, caller.connection)
        seen = await self._observe(context, caller, request, watching=True)
        if request.clients and context.router.local(caller.client, caller.connection) is not None:
            self._add(context, caller, seen)
        return PresenceReply(re=request.id, devices=tuple(one.presence for one in seen))

    def forget(self, client: ClientId, number: int) -> None:
        """Remove the watch of a connection, if it has one."""
        self._table.remove((client, number))

    # The node calls these.

    def changed(self, client: ClientId) -> None:
        """Observe a device again, if a connection of this node watches it."""
        for key in self._table.watchers(client):
            self._look_at(key, {client})

    def node_lost(self, node: str, incarnation: str) -> None:
        """Observe again all devices that were online on a lost node."""
        for target in self._table.held_by(node, incarnation):
            self.changed(target)

    def look_at_all(self) -> None:
        """Observe all watched devices again: a bus message may have been missed."""
        for watch in self._table:
            self._look_at(watch.key, watch.devices.keys())

    async def run(self, context: NodeContext) -> None:
        """Push changes to the watchers, until cancelled."""
        while True:
            await self._next_round(context)
            self._renew()
            if context.nodes.acting():
                await self._round(context)
            await asyncio.sleep(PUSH_EVERY_S)

    async def _next_round(self, context: NodeContext) -> None:
        if self._dirty:
            return
        try:
            async with asyncio.timeout(PUSH_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            if not context.store.connected:
                self.look_at_all()
        self._wake.clear()

    def _renew(self) -> None:
        """Look up what all watches watch, once it is time."""
        if self._loop.time() - self._renewed_at_s >= RENEW_EVERY_S:
            self._renewed_at_s = self._loop.time()
            self.look_at_all()

    def _look_at(self, key: WatchKey, targets: AbstractSet[ClientId]) -> None:
        self._dirty.setdefault(key, set()).update(targets)
        self._wake.set()

    async def _observe(
        self, context: NodeContext, caller: Caller, request: Who | Watch, *, watching: bool
    ) -> list[Observation]:
        try:
            await check_current(context.store, caller)
        except StoreUnavailable:
            return [Observation(unknown(client, None)) for client in request.clients]
        asker = Asker(caller.client, caller.fingerprint)
        seen = await observe_all(context, [(asker, client) for client in request.clients], watching=watching)
        await remove_lost(context, seen)
        return seen

    def _last(self, caller: Caller, client: ClientId) -> Presence:
        watch = self._table.get((caller.client, caller.connection))
        device = watch.devices.get(client) if watch else None
        return unknown(client, device.observed.presence.since if device else None)

    def _add(self, context: NodeContext, caller: Caller, seen: list[Observation]) -> None:
        near = caller.near if context.settings.max_per_address else None
        watch = DeviceWatch(Asker(caller.client, caller.fingerprint), caller.connection, seen, near)
        if not self._table.has_room(watch):
            raise Refused(Reason.RATE_LIMITED, "devices at this address watch too many", ROOM_AGAIN_MS)
        self._table.add(watch)
        # For this connection alone: others that watch the device have paid for their own look.
        unseen = [one.presence.client for one in seen if is_unknown(one.presence)]
        if unseen:
            self._look_at(watch.key, set(unseen))

    def _paid(self, context: NodeContext) -> list[tuple[DeviceWatch, ClientId]]:
        """Return what to observe now; a watch whose device cannot pay for it waits."""
        pairs: list[tuple[DeviceWatch, ClientId]] = []
        for key, dirty in list(self._dirty.items()):
            watch = self._table.get(key)
            targets = watch.devices.keys() & dirty if watch else set()
            if watch and targets and context.spending.lacking_ms(watch.payer, LOOKUP * len(targets) + RESERVED):
                continue
            del self._dirty[key]
            if watch and targets:
                context.charge(watch.payer, LOOKUP * len(targets))
                pairs += [(watch, target) for target in targets]
        return pairs

    async def _round(self, context: NodeContext) -> None:
        pairs = self._paid(context)
        found = await observe_all(context, [(watch.asker, target) for watch, target in pairs], watching=True)
        await remove_lost(context, found)
        news: dict[WatchKey, list[Presence]] = {}
        for (watch, target), seen in zip(pairs, found, strict=True):
            push = self._update(watch, target, seen)
            if push is not None:
                news.setdefault(watch.key, []).append(push)
        for (client, number), devices in news.items():
            connection = context.router.local(client, number)
            if connection is not None:
                connection.send(encode_frame(PresencePush(devices=tuple(devices))))

    def _update(self, watch: DeviceWatch, target: ClientId, seen: Observation) -> Presence | None:
        """Record an observation; return what to push to the watcher."""
        if self._table.get(watch.key) is not watch:
            return None  # replaced or removed since the round began
        push, again = watch.update(target, seen, self._loop.time())
        if again:
            self._look_at(watch.key, {target})
        return push

"""Who is online: for those who ask once (``who``), and for those who are told of changes too (``watch``).

A watcher is told at most once a second, and of a leave only once it has lasted ``SETTLE_S``; of one that a planned end
of a node caused, once the device should have been back.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TypeAlias

from muster_hub.context import NodeContext
from muster_hub.presence.lookup import Asker, Observation, observe_all, unknown
from muster_hub.routing.caller import Caller
from muster_protocol.frames import Presence, PresencePush, PresenceReply, PresenceState, Watch, Who, encode_frame
from muster_protocol.ids import ClientId

SETTLE_S = 2.0
"""How long a device has to be gone before its leave is announced."""
PUSH_EVERY_S = 1.0
RENEW_EVERY_S = 30.0
"""How often a node says again that it watches, and looks at everything once more."""

_Key: TypeAlias = tuple[ClientId, int]


@dataclass(slots=True)
class _Shown:
    """What a watcher was last told of a device, and since when the device has been gone for it."""

    seen: Observation
    gone_at_s: float | None = None


@dataclass(slots=True)
class _Watch:
    asker: Asker
    number: int
    shown: dict[ClientId, _Shown] = field(default_factory=dict)


class PresenceWatches:
    """Who watches whom on this node."""

    __slots__ = ("_by_target", "_dirty", "_loop", "_renewed_at_s", "_wake", "_watches")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watches: dict[_Key, _Watch] = {}
        self._by_target: dict[ClientId, set[_Key]] = {}
        self._dirty: set[ClientId] = set()
        self._wake = asyncio.Event()
        self._renewed_at_s = self._loop.time()

    # Use cases and connections call these.

    async def who(self, context: NodeContext, caller: Caller, request: Who) -> PresenceReply:
        """Say who of these is online; ``unknown``, with the time last known, for those of whom the store does not."""
        asker = Asker(caller.client, caller.fingerprint)
        seen = await observe_all(context, [(asker, client) for client in request.clients])
        known = [one.presence for one in seen]
        devices = (self._last(caller, one.client) if _is_unknown(one) else one for one in known)
        return PresenceReply(re=request.id, devices=tuple(devices))

    def last_known(self, caller: Caller, request: Who) -> PresenceReply:
        """Answer ``who`` without the store: ``unknown`` for all."""
        return PresenceReply(re=request.id, devices=tuple(self._last(caller, client) for client in request.clients))

    async def watch(self, context: NodeContext, caller: Caller, request: Watch) -> PresenceReply:
        """Say who of these is online, and tell this connection of changes from now on; replaces its last ``watch``."""
        self.forget(caller.client, caller.connection)
        asker = Asker(caller.client, caller.fingerprint)
        seen = await observe_all(context, [(asker, client) for client in request.clients], watching=True)
        if request.clients and context.router.local(caller.client, caller.connection) is not None:
            self._keep(_Watch(asker, caller.connection, {one.presence.client: _Shown(one) for one in seen}))
        return PresenceReply(re=request.id, devices=tuple(one.presence for one in seen))

    def forget(self, client: ClientId, number: int) -> None:
        """Forget what a connection watched."""
        watch = self._watches.pop((client, number), None)
        for target in watch.shown if watch else ():
            keys = self._by_target[target]
            keys.discard((client, number))
            if not keys:
                del self._by_target[target]

    # The node calls these.

    def changed(self, client: ClientId) -> None:
        """Look at a device again, if anybody here watches it."""
        if client in self._by_target:
            self._dirty.add(client)
            self._wake.set()

    def node_lost(self, node: str, incarnation: str) -> None:
        """Look again at all whom a lost node held online."""
        for watch in self._watches.values():
            for target, shown in watch.shown.items():
                if (node, incarnation) in shown.seen.holders:
                    self.changed(target)

    def look_at_all(self) -> None:
        """Look at everything again: a notify may have been missed."""
        self._dirty |= self._by_target.keys()
        self._wake.set()

    async def run(self, context: NodeContext) -> None:
        """Tell the watchers of changes, until cancelled."""
        while True:
            await self._next_round(context)
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
            overdue = self._loop.time() - self._renewed_at_s >= RENEW_EVERY_S
            if overdue or (self._by_target and not context.store.connected):
                self._renewed_at_s = self._loop.time()
                self.look_at_all()
        self._wake.clear()

    def _last(self, caller: Caller, client: ClientId) -> Presence:
        watch = self._watches.get((caller.client, caller.connection))
        shown = watch.shown.get(client) if watch else None
        return unknown(client, shown.seen.presence.since if shown else None)

    def _keep(self, watch: _Watch) -> None:
        key = (watch.asker.client, watch.number)
        self._watches[key] = watch
        for target, shown in watch.shown.items():
            self._by_target.setdefault(target, set()).add(key)
            if _is_unknown(shown.seen.presence):
                self.changed(target)

    async def _round(self, context: NodeContext) -> None:
        targets, self._dirty = self._dirty, set()
        pairs = [(self._watches[key], target) for target in targets for key in tuple(self._by_target.get(target, ()))]
        found = await observe_all(context, [(watch.asker, target) for watch, target in pairs], watching=True)
        news: dict[_Key, list[Presence]] = {}
        for (watch, target), seen in zip(pairs, found, strict=True):
            key = (watch.asker.client, watch.number)
            # Whoever watches something else by now is not told of what it watched before.
            if self._watches.get(key) is watch and (presence := self._news(watch.shown[target], seen)):
                news.setdefault(key, []).append(presence)
        for (client, number), devices in news.items():
            connection = context.router.local(client, number)
            if connection is not None:
                connection.send(encode_frame(PresencePush(devices=tuple(devices))))

    def _news(self, shown: _Shown, seen: Observation) -> Presence | None:
        """Take a new look at a device; return what its watcher is to be told now, if anything."""
        before, now = shown.seen.presence, seen.presence
        if _is_unknown(now):
            self._dirty.add(now.client)  # and again, until it is known
            seen = Observation(unknown(now.client, before.since), shown.seen.holders)
        elif _gone(before, now) and not self._settled(shown, seen):
            self._dirty.add(now.client)
            return None
        shown.gone_at_s = None
        shown.seen = seen
        changed = (before.state, before.cause) != (seen.presence.state, seen.presence.cause)
        return seen.presence if changed else None

    def _settled(self, shown: _Shown, seen: Observation) -> bool:
        if shown.gone_at_s is None:
            shown.gone_at_s = self._loop.time()
        return self._loop.time() - shown.gone_at_s >= SETTLE_S and not seen.expected


def _gone(before: Presence, now: Presence) -> bool:
    return before.state is PresenceState.ONLINE and now.state is PresenceState.OFFLINE


def _is_unknown(presence: Presence) -> bool:
    return presence.state is PresenceState.UNKNOWN

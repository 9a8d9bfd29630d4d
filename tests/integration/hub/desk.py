"""A node without its sockets: the use cases over a real store, and seats whose requests go straight into them."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.integration.hub.device import WAIT_S, SigningDevice, now_ms
from tests.slots import slot_tag
from typing_extensions import override

from muster_hub.config.settings import Settings
from muster_hub.connections.dispatch import Dispatch
from muster_hub.connections.request_table import use_cases
from muster_hub.context import NodeContext
from muster_hub.delivery import inbox
from muster_hub.presence.record import AgentLocations
from muster_hub.presence.registry import ConnectingDevice, connect, depart
from muster_hub.presence.watches import PresenceWatches
from muster_hub.rate_limits.spending import Spending
from muster_hub.rate_limits.token_bucket import Rate
from muster_hub.routing.bus_messages import decode_bus_message
from muster_hub.routing.caller import Caller
from muster_hub.routing.router import Router
from muster_hub.routing.services import LocalConnection
from muster_hub.store.adapter import CALL_TIMEOUT_MS, Store, Word
from muster_hub.store.adapter import Reply as StoreReply
from muster_hub.store.rows import InstanceRow
from muster_hub.store.scripts import Script
from muster_hub.store.urls import Address
from muster_hub.store.wire import Wire
from muster_protocol.cards import verify_card
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause, Push, Reply, Request, decode_frame, encode_frame
from muster_protocol.ids import ClientId, InstanceId, TimeMs
from muster_protocol.keys import SigningKey

P = TypeVar("P", bound=Push)

_SETTINGS = Settings(data_dir=Path("unused"))
_UNLIMITED = Rate(per_s=1e9, burst=1e9)
"""What a device may ask of a desk: tests of the rate have a hub of their own."""


class Line(Protocol):
    """A device's way to the hub: a real link, or a seat at a desk."""

    async def ask_any(self, request: Request) -> Reply: ...

    async def next_push(self, expected: type[P]) -> P: ...

    def waiting(self, expected: type[P]) -> list[P]: ...


class WatchedStore(Store):
    """A store that counts its calls and can be told to fail or pause before one."""

    def __init__(self, address: Address, *, store_replicas: int = 0, scripts: Sequence[Script] | None = None) -> None:
        super().__init__(address, store_replicas=store_replicas, scripts=scripts)
        self.calls: list[str] = []
        self.slots: list[bytes] = []
        """The slot tag that each call touches: where a cluster would send it."""
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        self._wire: Wire | None = None

    @classmethod
    @asynccontextmanager
    @override
    async def open(
        cls, url: str, *, store_replicas: int = 0, scripts: Sequence[Script] | None = None
    ) -> AsyncIterator["WatchedStore"]:
        async with super().open(url, store_replicas=store_replicas, scripts=scripts) as store:
            assert isinstance(store, WatchedStore)
            try:
                yield store
            finally:
                if store._wire is not None:
                    await store._wire.close()

    @override
    def begin(
        self, script: Script, keys: Sequence[bytes], args: Sequence[Word] = (), *, not_after_ms: int | None = None
    ) -> asyncio.Future[StoreReply]:
        self.calls.append(script.name)
        self.slots.append(slot_tag(keys[0]))
        step = self.before.pop(script.name, None)
        if step is None:
            return super().begin(script, keys, args, not_after_ms=not_after_ms)
        made_ms = self._shard.clock.now_ms()
        late_ms = made_ms + CALL_TIMEOUT_MS if not_after_ms is None else not_after_ms
        return asyncio.ensure_future(self._after(step, script, keys, args, late_ms))

    async def _after(
        self,
        step: Callable[[], Awaitable[None]],
        script: Script,
        keys: Sequence[bytes],
        args: Sequence[Word],
        not_after_ms: int,
    ) -> StoreReply:
        await step()
        return await super().begin(script, keys, args, not_after_ms=not_after_ms)

    async def ask(self, *words: Word) -> StoreReply:
        """Ask the store a plain command over a connection of its own, one for all."""
        if self._wire is None:
            self._wire = Wire(self.address)
            await self._wire.connect()
        return await self._wire.ask(*words)


class AllLive:
    """Nodes of which every one counts as live, save those named lost."""

    def __init__(self, node: str, nodes: Sequence[str]) -> None:
        self.node = node
        self.incarnation = f"{node}-1"
        self.lost: set[str] = set()
        self._nodes = nodes

    def live(self, node: str, incarnation: str) -> bool:
        return node not in self.lost

    def live_nodes(self) -> Sequence[str]:
        return [node for node in self._nodes if node not in self.lost]

    def acting(self) -> bool:
        return True

    async def until_acting(self) -> bool:
        return self.acting()


class SetClock:
    """The wall clock, moved by hand."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def now_ms(self) -> TimeMs:
        return TimeMs(now_ms() + self.ahead_ms)


class DeskSeat:
    """A connection at a desk: what was sent to it, and requests carried straight into the use cases."""

    def __init__(self, desk: "Desk", caller: Caller) -> None:
        self.desk = desk
        self.caller = caller
        self.close_code: CloseCode | None = None
        self.sent: list[Push] = []
        self._pushes: list[Push] = []
        self._seen: set[str] = set()
        self._moved = asyncio.Event()

    @property
    def client(self) -> ClientId:
        return self.caller.client

    @property
    def number(self) -> int:
        return self.caller.connection

    @property
    def role(self) -> Role:
        return self.caller.role

    @property
    def busy(self) -> bool:
        return False

    def finish(self) -> None:
        """Nothing: a desk does not stop."""

    def send(self, frame: bytes) -> None:
        push = decode_frame(frame)
        assert isinstance(push, Push)
        self.sent.append(push)
        if push.push is None or push.push not in self._seen:
            self._pushes.append(push)
        if push.push is not None:
            self._seen.add(push.push)
        self._moved.set()

    def close(self, code: CloseCode) -> None:
        self.close_code = code

    def hand_over(self, frame: bytes) -> None:
        self.send(frame)

    def deliver_inbox(self) -> None:
        self.desk.start(inbox.deliver(self.desk.hub, self.client, self))

    async def ask_any(self, request: Request) -> Reply:
        return await self.desk.dispatch.answer(self.caller, encode_frame(request))

    async def next_push(self, expected: type[P]) -> P:
        async with asyncio.timeout(WAIT_S):
            while not (found := self.waiting(expected)):
                self._moved.clear()
                await self._moved.wait()
        self._pushes.remove(found[0])
        return found[0]

    def waiting(self, expected: type[P]) -> list[P]:
        return [push for push in self._pushes if isinstance(push, expected)]


class Desk:
    """One node without its sockets: the use cases over a real store, and a bus that reaches the other desks."""

    def __init__(self, store: WatchedStore, group: asyncio.TaskGroup, node: str, desks: "dict[str, Desk]") -> None:
        self._group = group
        self._desks = desks
        self.store = store
        self.published: list[bytes] = []
        self.nodes = AllLive(node, list(desks) or [node])
        self.clock = SetClock()
        self.router = Router(node, self, AgentLocations(store), PresenceWatches())
        self.hub = NodeContext(
            store=store,
            router=self.router,
            nodes=self.nodes,
            clock=self.clock,
            settings=_SETTINGS,
            key=SigningKey.from_secret(os.urandom(32)),
            spending=Spending(_UNLIMITED),
        )
        watches = PresenceWatches()
        self.dispatch = Dispatch(self.hub, use_cases(watches), watches)

    async def seat(self, device: SigningDevice, role: Role = Role.AGENT) -> DeskSeat:
        """Connect a device; its agent's older seat is superseded, as the store says."""
        card = verify_card(device.card())
        instance = InstanceId(os.urandom(16))
        row = InstanceRow(instance, role, self.nodes.node, self.nodes.incarnation, now_ms())
        connected = await connect(self.store, ConnectingDevice(card, role, instance, 0, now_ms()), row)
        caller = Caller(
            client=device.client,
            fingerprint=device.fingerprint,
            fingerprints=card.fingerprints,
            connection=connected.number,
            role=role,
            instance=instance,
            card=card,
            token_counter=0,
        )
        seat = DeskSeat(self, caller)
        connection: LocalConnection = seat
        self.router.add(connection)
        seat.deliver_inbox()
        return seat

    async def unseat(self, seat: DeskSeat) -> None:
        """Disconnect a device."""
        self.router.remove(seat)
        await depart(self.store, seat.client, [seat.number], DropCause.CLOSED)

    @property
    def all(self) -> list["Desk"]:
        """All desks of this hub, this one among them."""
        return list(self._desks.values()) or [self]

    def start(self, work: Any) -> None:
        self._group.create_task(work)

    def publish(self, node: str, payload: bytes) -> None:
        """Have another desk receive a message at once."""
        self.published.append(payload)
        desk = self._desks.get(node)
        if desk is not None:
            desk.router.receive(decode_bus_message(payload))

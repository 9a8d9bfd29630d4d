"""What nodes say to each other: sharded pub/sub on one channel per node.

    subscribing ---own canary heard---> hearing ---DEAF_AFTER_S without it---> deaf ---> subscribing

The bus only notifies. What is said here may be lost at any moment, so nothing rests on it: `on_recovered` tells when
something may have been missed, and a pass over the store mends it. A node hears its own canary every second through
the same channel as everything else; when it does not, it is deaf, says so, and subscribes anew.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from muster_hub.concurrency import alongside
from muster_hub.store.adapter import Reply, Store
from muster_hub.store.clock import boot_s
from muster_hub.store.errors import Cause, StoreUnavailable
from muster_hub.store.keys import channel
from muster_hub.store.scripts import script
from muster_hub.store.wire import ErrorReply, Wire, WireLostError

CANARY_EVERY_S = 1.0
DEAF_AFTER_S = 3.0
SUBSCRIBE_LIMIT_S = 1.0
RESUBSCRIBE_EVERY_S = 0.25
MAX_PAYLOAD_BYTES = 72 * 1024  # one message of the wire, 64 KiB at most, and what one node adds for another
_CANARY = b"\x00"
_SAID = b"\x01"
_PUBLISH = script("publish")

_log = structlog.get_logger(__name__)


class Bus:
    """One node's end of the bus. `store` is where it says things; it listens there over a connection of its own."""

    __slots__ = ("_handle", "_heard_s", "_hearing", "_node", "_on_recovered", "_store", "lost")

    def __init__(
        self, store: Store, node: str, handle: Callable[[bytes], Awaitable[None]], on_recovered: Callable[[], None]
    ) -> None:
        self._store = store
        self._node = node
        self._handle = handle
        self._on_recovered = on_recovered
        self._hearing = False
        self._heard_s: float | None = None
        self.lost = 0  # what was said and not taken by the store

    @classmethod
    @asynccontextmanager
    async def open(
        cls, store: Store, node: str, handle: Callable[[bytes], Awaitable[None]], on_recovered: Callable[[], None]
    ) -> AsyncIterator["Bus"]:
        """Listen on a node's channel for the body's time.

        `handle` gets each payload, one at a time, in the order in which the store had them. `on_recovered` is called
        each time the node hears (again), at its start too: whatever was said before may be lost.
        """
        bus = cls(store, node, handle, on_recovered)
        async with alongside(bus._listen(), bus._sing()):
            yield bus

    @property
    def deaf(self) -> bool:
        """Whether this node did not hear itself for DEAF_AFTER_S, or never did."""
        return self._heard_s is None or boot_s() - self._heard_s > DEAF_AFTER_S

    def publish(self, node: str, payload: bytes) -> None:
        """Say something to a node, without waiting and without knowing whether it heard.

        ValueError above MAX_PAYLOAD_BYTES.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"{len(payload)} bytes are more than the bus carries at once")
        self._say(node, _SAID + payload)

    def _say(self, node: str, data: bytes) -> None:
        try:
            self._store.begin(_PUBLISH, [channel(node)], [data]).add_done_callback(self._said)
        except StoreUnavailable:
            self.lost += 1

    def _said(self, answer: asyncio.Future[Reply]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self.lost += 1

    async def _sing(self) -> None:
        while True:
            self._say(self._node, _CANARY)
            await asyncio.sleep(CANARY_EVERY_S)

    async def _listen(self) -> None:
        while True:
            wire = Wire(self._store.address)
            try:
                await self._subscribe(wire)
                await self._hear(wire)
            except WireLostError as error:
                if self._hearing:
                    _log.warning("bus_deaf", node=self._node, cause=error.cause)
                self._hearing = False
            finally:
                await wire.close()
            await asyncio.sleep(RESUBSCRIBE_EVERY_S)

    async def _subscribe(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_LIMIT_S):
                await wire.connect()
                await wire.ask(b"SSUBSCRIBE", channel(self._node))
        except TimeoutError:
            raise WireLostError(Cause.TIMEOUT, "subscribing") from None
        self._say(self._node, _CANARY)  # to hear at once that it hears

    async def _hear(self, wire: Wire) -> None:
        since_s = asyncio.get_running_loop().time()
        while True:
            try:
                async with asyncio.timeout_at(since_s + DEAF_AFTER_S):
                    data = _payload(await wire.receive())
            except TimeoutError:
                raise WireLostError(Cause.TIMEOUT, "no canary") from None
            if data[:1] == _CANARY:
                since_s = asyncio.get_running_loop().time()
                self._heard()
            else:
                await self._take(data[1:])

    def _heard(self) -> None:
        self._heard_s = boot_s()
        if not self._hearing:
            self._hearing = True
            _log.info("bus_hears", node=self._node)
            self._on_recovered()

    async def _take(self, payload: bytes) -> None:
        try:
            await self._handle(payload)
        except Exception as error:  # noqa: BLE001 - one payload that a handler cannot take must not make the node deaf
            # The type alone: what the exception says could quote the payload.
            _log.error("bus_handler_failed", node=self._node, size=len(payload), error=type(error).__name__)


def _payload(reply: Reply | ErrorReply) -> bytes:
    """Return what a message of the channel carries; WireLostError when it is none, as when a slot moves away."""
    match reply:
        case [b"smessage", bytes(), bytes(data)]:
            return data
        case _:
            raise WireLostError(Cause.LOST, "unsubscribed")

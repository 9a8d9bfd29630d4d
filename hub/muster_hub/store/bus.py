"""The bus between nodes: sharded pub/sub, one channel per node.

    subscribing ---own heartbeat received---> subscribed ---UNSUBSCRIBED_AFTER_S without one---> unsubscribed
         ^                                                                                            |
         +------------------------------------- new connection --------------------------------------+

The bus only notifies. A message may be lost at any moment, so no result depends on it: ``BusHandler.recovered`` is
called when messages may have been missed, and a pass over the store then does what they asked for. A node publishes a
heartbeat to its own channel every second. When none arrives, it counts as unsubscribed and subscribes again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from muster_hub.concurrency import alongside
from muster_hub.store.adapter import Reply, Store
from muster_hub.store.clock import boot_s
from muster_hub.store.errors import StoreCause, StoreUnavailable
from muster_hub.store.keys import channel
from muster_hub.store.scripts import script
from muster_hub.store.wire import ErrorReply, Wire, WireLostError

HEARTBEAT_EVERY_S = 1.0
UNSUBSCRIBED_AFTER_S = 3.0
SUBSCRIBE_LIMIT_S = 1.0
RESUBSCRIBE_EVERY_S = 0.25
MAX_PAYLOAD_BYTES = 72 * 1024  # one message of the wire, 64 KiB at most, and what one node adds for another
_HEARTBEAT = b"\x00"
_MESSAGE = b"\x01"
_PUBLISH = script("publish")

_log = structlog.get_logger(__name__)


class BusHandler(Protocol):
    """What a node does with what its bus brings."""

    async def receive(self, payload: bytes) -> None:
        """Handle one payload. The next one waits for that; payloads come in the order in which the store had them."""

    def recovered(self) -> None:
        """Note that the node is subscribed (again), the first time too: messages sent before that may be lost."""


class Bus:
    """One node's end of the bus. It publishes through ``store`` and subscribes over a connection of its own."""

    __slots__ = ("_first", "_handler", "_heartbeat_s", "_node", "_store", "_subscribed", "lost")

    def __init__(self, store: Store, node: str, handler: BusHandler) -> None:
        self._store = store
        self._node = node
        self._handler = handler
        self._subscribed = False
        self._heartbeat_s: float | None = None
        self._first = asyncio.Event()
        self.lost = 0  # messages that the store did not take

    @classmethod
    @asynccontextmanager
    async def open(cls, store: Store, node: str, handler: BusHandler) -> AsyncIterator["Bus"]:
        """Subscribe to a node's channel for the body's time."""
        bus = cls(store, node, handler)
        async with alongside(bus._receive_forever(), bus._send_heartbeats()):
            yield bus

    @property
    def unsubscribed(self) -> bool:
        """Whether this node received no heartbeat of its own for UNSUBSCRIBED_AFTER_S, or never did."""
        return self._heartbeat_s is None or boot_s() - self._heartbeat_s > UNSUBSCRIBED_AFTER_S

    async def until_subscribed(self) -> None:
        """Wait for the first heartbeat; not longer than UNSUBSCRIBED_AFTER_S, since a node serves without the bus too.

        Its agents are resynchronized meanwhile, and ``unsubscribed`` says so.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(UNSUBSCRIBED_AFTER_S):
                await self._first.wait()

    def publish(self, node: str, payload: bytes) -> None:
        """Send a payload to a node, without waiting and without knowing whether it arrives.

        Raises ``ValueError`` above MAX_PAYLOAD_BYTES.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise ValueError(f"{len(payload)} bytes are more than the bus carries at once")
        self._send(node, _MESSAGE + payload)

    def _send(self, node: str, data: bytes) -> None:
        try:
            self._store.begin(_PUBLISH, [channel(node)], [data]).add_done_callback(self._sent)
        except StoreUnavailable:
            self.lost += 1

    def _sent(self, answer: asyncio.Future[Reply]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self.lost += 1

    async def _send_heartbeats(self) -> None:
        while True:
            self._send(self._node, _HEARTBEAT)
            await asyncio.sleep(HEARTBEAT_EVERY_S)

    async def _receive_forever(self) -> None:
        while True:
            wire = Wire(self._store.address)
            try:
                await self._subscribe(wire)
                await self._receive(wire)
            except WireLostError as error:
                if self._subscribed:
                    _log.warning("bus_unsubscribed", node=self._node, cause=error.cause)
                self._subscribed = False
            finally:
                await wire.close()
            await asyncio.sleep(RESUBSCRIBE_EVERY_S)

    async def _subscribe(self, wire: Wire) -> None:
        try:
            async with asyncio.timeout(SUBSCRIBE_LIMIT_S):
                await wire.connect()
                await wire.ask(b"SSUBSCRIBE", channel(self._node))
        except TimeoutError:
            raise WireLostError(StoreCause.TIMEOUT, "subscribing") from None
        self._send(self._node, _HEARTBEAT)  # do not wait a second for proof that the subscription works

    async def _receive(self, wire: Wire) -> None:
        since_s = asyncio.get_running_loop().time()
        while True:
            try:
                async with asyncio.timeout_at(since_s + UNSUBSCRIBED_AFTER_S):
                    data = _payload(await wire.receive())
            except TimeoutError:
                raise WireLostError(StoreCause.TIMEOUT, "no heartbeat") from None
            if data[:1] == _HEARTBEAT:
                since_s = asyncio.get_running_loop().time()
                self._heartbeat_received()
            else:
                await self._pass_on(data[1:])

    def _heartbeat_received(self) -> None:
        self._heartbeat_s = boot_s()
        self._first.set()
        if not self._subscribed:
            self._subscribed = True
            _log.info("bus_subscribed", node=self._node)
            self._handler.recovered()

    async def _pass_on(self, payload: bytes) -> None:
        try:
            await self._handler.receive(payload)
        except Exception as error:  # noqa: BLE001 - one payload that a handler rejects must not end the subscription
            # The type alone: the text of the exception could quote the payload.
            _log.error("bus_handler_failed", node=self._node, size=len(payload), error=type(error).__name__)


def _payload(reply: Reply | ErrorReply) -> bytes:
    """Return the payload of a channel message; raises ``WireLostError`` for other replies, as when a slot moves."""
    match reply:
        case [b"smessage", bytes(), bytes(data)]:
            return data
        case _:
            raise WireLostError(StoreCause.LOST, "unsubscribed")

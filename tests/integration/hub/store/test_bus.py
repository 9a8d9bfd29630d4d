"""The bus between nodes, over a real store."""

import asyncio
import os
import signal

import pytest
import structlog.testing

from muster_hub.store.adapter import Store
from muster_hub.store.bus import MAX_PAYLOAD_BYTES, Bus
from muster_hub.store.embedded import EmbeddedStore

PATIENCE_S = 30.0


class Ear:
    """Takes what a bus hands over."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.recoveries: asyncio.Queue[None] = asyncio.Queue()

    async def receive(self, payload: bytes) -> None:
        if payload == b"cannot be taken":
            raise LookupError
        self.heard.put_nowait(payload)

    def recovered(self) -> None:
        self.recoveries.put_nowait(None)

    async def next(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def recovery(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.recoveries.get()


async def test_what_one_node_publishes_the_other_receives_in_order(store: Store) -> None:
    ear = Ear()
    async with Bus.open(store, "a", ear) as a:
        await ear.recovery()
        other = Ear()
        async with Bus.open(store, "b", other) as b:
            await other.recovery()
            for n in range(300):
                b.publish("a", b"%d" % n)
            assert [await ear.next() for _ in range(300)] == [b"%d" % n for n in range(300)]
            a.publish("b", bytes(MAX_PAYLOAD_BYTES))
            assert await other.next() == bytes(MAX_PAYLOAD_BYTES)
            assert ear.heard.empty()


async def test_more_than_the_bus_carries_is_refused(store: Store) -> None:
    ear = Ear()
    async with Bus.open(store, "a", ear) as bus:
        with pytest.raises(ValueError, match="more than the bus carries"):
            bus.publish("a", bytes(MAX_PAYLOAD_BYTES + 1))


async def test_a_payload_that_cannot_be_taken_does_not_end_the_subscription(store: Store) -> None:
    ear = Ear()
    async with Bus.open(store, "a", ear) as bus:
        await ear.recovery()
        with structlog.testing.capture_logs() as said:
            bus.publish("a", b"cannot be taken")
            bus.publish("a", b"next")
            assert await ear.next() == b"next"
    assert [line["event"] for line in said] == ["bus_handler_failed"]
    assert "cannot be taken" not in str(said)


async def test_a_node_subscribes_again_and_reports_that_it_may_have_missed_something(
    own_store: EmbeddedStore, ask
) -> None:
    ear = Ear()
    async with Store.open(own_store.url) as store, Bus.open(store, "a", ear) as bus:
        await ear.recovery()
        await ask(own_store.url, b"CLIENT", b"KILL", b"TYPE", b"pubsub")
        await ear.recovery()
        bus.publish("a", b"again")
        assert await ear.next() == b"again"


async def test_a_node_that_misses_its_own_heartbeat_is_unsubscribed_until_it_receives_one(
    own_store: EmbeddedStore, eventually
) -> None:
    ear = Ear()
    assert own_store.pid
    async with Store.open(own_store.url) as store, Bus.open(store, "a", ear) as bus:
        states = [bus.unsubscribed]
        await ear.recovery()
        states.append(bus.unsubscribed)
        os.kill(own_store.pid, signal.SIGSTOP)
        try:
            await eventually(lambda: bus.unsubscribed)
            bus.publish("a", b"unread")
        finally:
            os.kill(own_store.pid, signal.SIGCONT)
        await ear.recovery()
        states.append(bus.unsubscribed)
        assert states == [True, False, False]
        await eventually(lambda: bus.lost)

"""The end of a node, and what it says of itself while it runs: ``/healthz``, ``/readyz``, ``goaway``."""

import asyncio
import http.client
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.integration.hub.conftest import Eventually, Links, NodeSettings, StartNode, frozen
from tests.integration.hub.device import WAIT_S, SigningDevice

from muster_hub.node.drain import MIN_SPREAD_S
from muster_hub.node.node import Node, open_node
from muster_hub.presence import watch_table
from muster_hub.presence.record import read_presence
from muster_hub.store.adapter import Store
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire
from muster_protocol.closes import CloseCode
from muster_protocol.frames import Ok, PresencePush, PresenceReply, PresenceState, Watch
from muster_protocol.ids import Fingerprint


async def fetch(node: Node, path: str) -> tuple[int, bytes]:
    def get() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(node.url.removeprefix("ws://"), timeout=WAIT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(get)


async def readiness(node: Node) -> tuple[int, dict[str, Any]]:
    status, body = await fetch(node, "/readyz")
    return status, json.loads(body)


async def permit(store: EmbeddedStore, channels: bytes) -> None:
    """Set which channels the store's users may use."""
    wire = Wire(parse(store.url))
    await wire.connect()
    await wire.ask(b"ACL", b"SETUSER", b"default", channels)
    await wire.close()


async def test_a_node_that_serves_is_ready_from_the_first_moment(node: Node) -> None:
    assert node.readiness.reasons() == []
    status, report = await readiness(node)
    assert (status, report["ready"]) == (200, True)
    assert report["reasons"] == []
    assert report["store"]["verified"] is True
    assert "on the store's disk" in report["store"]["keeps"]
    assert await fetch(node, "/healthz") == (200, b"ok\n")


async def test_a_node_whose_bus_carries_nothing_serves_and_says_so_until_it_does(
    own_store: EmbeddedStore, start_node: StartNode, eventually: Eventually
) -> None:
    await permit(own_store, b"resetchannels")
    node = await start_node(store=own_store.url)
    status, report = await readiness(node)
    assert (status, report["reasons"]) == (503, ["the node is not subscribed to the bus"])
    await permit(own_store, b"allchannels")
    await eventually(lambda: not node.readiness.reasons())


async def test_a_node_whose_store_stands_still_is_not_ready(
    own_store: EmbeddedStore, start_node: StartNode, eventually: Eventually
) -> None:
    node = await start_node(store=own_store.url)

    async def ready() -> bool:
        return (await readiness(node))[0] == 200

    async def not_ready() -> bool:
        return not await ready()

    await eventually(ready)
    with frozen(own_store):
        await eventually(not_ready)
        status, report = await readiness(node)
        assert (status, report["ready"]) == (503, False)
        assert report["reasons"]
        assert (await fetch(node, "/healthz"))[0] == 200
    await eventually(ready)


async def test_devices_are_told_before_the_node_goes(store: Store, hub_settings: NodeSettings) -> None:
    devices = [SigningDevice() for _ in range(3)]
    async with AsyncExitStack() as links:
        async with open_node(hub_settings("one")) as node:
            found = [await links.enter_async_context(device.connect(node.url)) for device in devices]
        for link in found:
            assert await link.closed() == CloseCode.GOING_AWAY
            assert link.goaway is not None
            assert link.goaway.retry_after_ms <= MIN_SPREAD_S * 1000
    # The store heard of each of them before the node let go of it.
    for device in devices:
        record = await read_presence(store, device.client, device.client, Fingerprint(b""))
        assert record.instances == ()
        assert record.last_seen is not None


async def test_a_drained_device_is_not_announced_as_gone_while_it_should_be_back(
    node: Node, hub_settings: NodeSettings, links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_table, "SETTLE_S", 0.0)  # a device that leaves is announced at the first look
    asker, told, witness = SigningDevice(), SigningDevice(), SigningDevice()
    link = await links.enter_async_context(asker.connect(node.url))
    async with AsyncExitStack() as far_links:
        async with open_node(hub_settings("far")) as far:
            found = await far_links.enter_async_context(told.connect(far.url))
            await found.put(told.trust(asker))
            near = await links.enter_async_context(witness.connect(node.url))
            await near.put(witness.trust(asker))
            await link.ask(Watch(id=0, clients=(told.client, witness.client)), PresenceReply)
        assert await found.closed() == CloseCode.GOING_AWAY
    await near.socket.close()
    push = await link.next_push(PresencePush)
    assert [(one.client, one.state) for one in push.devices] == [(witness.client, PresenceState.OFFLINE)]
    record = await read_presence(node.context.store, told.client, told.client, Fingerprint(b""))
    assert record.instances == ()
    assert record.back_by_ms > await node.context.store.now_ms()
    # Back in time, it goes on as if nothing had been; and it is expected no longer when it leaves by itself.
    async with told.connect(node.url):
        pass
    push = await link.next_push(PresencePush)
    assert [(one.client, one.state) for one in push.devices] == [(told.client, PresenceState.OFFLINE)]


async def test_requests_that_came_are_answered_and_no_more_are_taken(
    node: Node, links: Links, eventually: Eventually
) -> None:
    link = await links.enter_async_context(SigningDevice().connect(node.url))
    (here,) = tuple(node.context.router)
    asked = [asyncio.create_task(link.put(link.device.trust(SigningDevice()))) for _ in range(3)]
    async with asyncio.timeout(WAIT_S):
        # The node runs on this very loop, so that what is looked at in each turn of it cannot be missed.
        while not here.busy:  # noqa: ASYNC110
            await asyncio.sleep(0)
    here.finish()
    assert isinstance(await asked[0], Ok)
    late = asyncio.create_task(link.put(link.device.trust(SigningDevice())))
    # A ping is answered behind all that was sent before it: the first one shows that the late request was read, and the
    # second one that all that was then served has been answered.
    await (await link.socket.ping())
    await eventually(lambda: not here.busy)
    await (await link.socket.ping())
    assert not late.done()
    here.close(CloseCode.GOING_AWAY)
    assert await link.closed() == CloseCode.GOING_AWAY
    with pytest.raises(ConnectionError):
        await late
    await asyncio.gather(*asked, return_exceptions=True)


async def test_no_task_outlives_a_node(hub_settings: NodeSettings) -> None:
    before = asyncio.all_tasks()
    async with AsyncExitStack() as found:
        async with open_node(hub_settings("one")) as node:
            for _ in range(3):
                link = await found.enter_async_context(SigningDevice().connect(node.url))
                await link.put(link.device.trust(SigningDevice()))
            theirs = asyncio.all_tasks()
        # What is left is the devices' own.
        assert not [task for task in asyncio.all_tasks() - before if "muster_hub" in str(task.get_coro())]
        assert len(theirs) > len(before)


async def test_a_node_that_ends_is_no_longer_ready(node: Node) -> None:
    node.readiness.stopping = True
    status, report = await readiness(node)
    assert status == 503
    assert "stopping" in report["reasons"]

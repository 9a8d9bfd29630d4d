"""The end of a node, and what it says of itself while it runs: ``/healthz``, ``/readyz``, ``goaway``."""

import asyncio
import http.client
import json
from contextlib import AsyncExitStack
from typing import Any

from tests.integration.hub.conftest import Eventually, NodeSettings, StartNode, frozen
from tests.integration.hub.device import WAIT_S, Device

from muster_hub.node import GOAWAY_SPREAD_MS, Node, open_node
from muster_hub.seats import look
from muster_hub.store.adapter import Store
from muster_hub.store.embedded import EmbeddedStore
from muster_protocol.closes import CloseCode
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


async def test_a_node_is_ready_once_it_hears_itself(node: Node, eventually: Eventually) -> None:
    async def ready() -> bool:
        return (await readiness(node))[0] == 200

    await eventually(ready)
    _, report = await readiness(node)
    assert report["ready"] is True
    assert report["reasons"] == []
    assert report["store"]["verified"] is True
    assert "on the store's disk" in report["store"]["keeps"]
    assert await fetch(node, "/healthz") == (200, b"ok\n")


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
    devices = [Device() for _ in range(3)]
    async with AsyncExitStack() as links:
        async with open_node(hub_settings("one")) as node:
            found = [await links.enter_async_context(device.connect(node.url)) for device in devices]
        for link in found:
            assert await link.closed() == CloseCode.GOING_AWAY
            assert link.goaway is not None
            assert link.goaway.retry_after_ms <= GOAWAY_SPREAD_MS
    # The store heard of each of them before the node let go of it.
    for device in devices:
        sighting = await look(store, device.client, device.client, Fingerprint(b""))
        assert sighting.instances == ()
        assert sighting.last_seen is not None


async def test_a_node_that_ends_is_no_longer_ready(node: Node) -> None:
    node.readiness.stopping = True
    status, report = await readiness(node)
    assert status == 503
    assert "stopping" in report["reasons"]

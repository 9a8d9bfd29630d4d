"""A store that stands still for a while, and one that is gone for a while: it proves nothing about devices."""

import asyncio
import signal
from contextlib import AsyncExitStack

from tests.fault.absences import Away
from tests.fault.nodes import Cluster
from tests.integration.hub.device import SigningDevice

from muster_protocol.frames import DropCause, Ok, PresencePush, PresenceReply, PresenceState, Watch, Who

AWAY_S = 20.0
DEVICES = 80
"""On each of two nodes. To register one takes several writes; all else that goes on makes fewer than that."""
LEASES_A_SECOND = 2
BESIDE_S = 1.2
"""Longer than a lease stands still, and far shorter than a lost node's."""
SETTLING_S = 7.0
"""Longer than a pass over the store takes to come round, and than a counter has to stand still."""


async def outage(hub_nodes: Cluster, stack: AsyncExitStack, away: Away) -> None:
    """Have the store away while devices are connected to two nodes, and count what that changes: nothing."""
    store = hub_nodes.store
    nodes = [await hub_nodes.node("near"), await hub_nodes.node("far")]
    asker = SigningDevice()
    watching = await stack.enter_async_context(asker.connect(nodes[0].url))
    links = []
    for number in range(2 * DEVICES):
        device = SigningDevice()
        links.append(await stack.enter_async_context(device.connect(nodes[number % 2].url)))
    seen = links[:8]
    for link in seen:
        assert isinstance(await link.put(link.device.trust(asker)), Ok)
    clients = tuple(link.device.client for link in seen)
    before = await watching.ask(Watch(id=0, clients=clients), PresenceReply)
    assert {one.state for one in before.devices} == {PresenceState.ONLINE}

    loop = asyncio.get_running_loop()
    near, far = nodes
    far.send_signal(signal.SIGSTOP)
    await asyncio.sleep(BESIDE_S)  # the last that its observer sees of its counter is that it stands still
    async with away(store):
        far.send_signal(signal.SIGCONT)
        since_s = loop.time()
        for node in nodes:
            await node.until_not_ready("the store is away")
        asked = await watching.ask(Who(id=0, clients=clients), PresenceReply)
        assert {one.state for one in asked.devices} == {PresenceState.UNKNOWN}, "the last known state stands, marked"
        await asyncio.sleep(since_s + AWAY_S - loop.time())
        far.send_signal(signal.SIGSTOP)
    # And the first that its observer sees is the same counter, where it stood 20 s ago.
    await near.until_no_more("the node's lease is not fresh")
    far.send_signal(signal.SIGCONT)
    back_s = loop.time()
    written = await store.writes()
    for node in nodes:
        await node.until_ready()
    await asyncio.sleep(back_s + SETTLING_S - loop.time())
    lasted_s = loop.time() - back_s
    writes = await store.writes() - written
    assert writes < LEASES_A_SECOND * lasted_s + DEVICES, "no device was registered again"
    after = await watching.ask(Who(id=0, clients=clients), PresenceReply)
    assert {one.state for one in after.devices} == {PresenceState.ONLINE}
    assert [(a.client, a.since) for a in after.devices] == [(b.client, b.since) for b in before.devices]
    pushed = [one for push in watching.waiting(PresencePush) for one in push.devices]
    assert {one.state for one in pushed} <= {PresenceState.ONLINE, PresenceState.UNKNOWN}
    assert {one.cause for one in pushed} <= {None}
    for node in nodes:
        assert node.said("node_lost") + node.said("lease_tombstoned") + node.said("device_left") == []
    assert not any(link.ended.is_set() for link in [watching, *links])
    assert DropCause.NODE_LOST not in {one.cause for one in after.devices}

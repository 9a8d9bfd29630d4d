"""Nodes that die, and nodes that only seemed to: real processes, real signals."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.fault.clocks import ProcessClock
from tests.fault.nodes import Cluster, cluster
from tests.fault.server import server
from tests.fault.waiting import POLL_S, until_so
from tests.integration.hub.device import WAIT_S, DeviceLink, SigningDevice

from muster_hub.store import keys
from muster_protocol.closes import CloseCode
from muster_protocol.frames import (
    DropCause,
    ListStatements,
    Ok,
    Presence,
    PresencePush,
    PresenceReply,
    PresenceState,
    PutStatement,
    Statements,
    Watch,
    Who,
    encode_frame,
)
from muster_protocol.ids import ClientId

HOUR_S = 3600
NOTICED_S = 6.0
SLACK_S = 2.0
"""What two busy cores add to it."""
FROZEN_S = 7.0
BLOCKED_S = 0.5
"""A write that takes that long waits for a full buffer."""
MAX_LATE = 20_000
PAD = 256


async def watch(link: DeviceLink, *devices: SigningDevice) -> list[PresenceState]:
    reply = await link.ask(Watch(id=0, clients=tuple(device.client for device in devices)), PresenceReply)
    return [one.state for one in reply.devices]


async def told(link: DeviceLink) -> list[tuple[ClientId, PresenceState, DropCause | None]]:
    push = await link.next_push(PresencePush)
    return sorted((one.client, one.state, one.cause) for one in push.devices)


async def test_a_dead_node_takes_its_devices_with_it(hub_nodes: Cluster) -> None:
    near, far = await hub_nodes.node("near"), await hub_nodes.node("far")
    asker, seen, mover = SigningDevice(), SigningDevice(), SigningDevice()
    async with asker.connect(near.url) as link, seen.connect(far.url) as gone, mover.connect(far.url) as moving:
        for device, connection in ((seen, gone), (mover, moving)):
            await connection.put(device.trust(asker))
        assert await watch(link, seen, mover) == [PresenceState.ONLINE, PresenceState.ONLINE]
        async with mover.connect(near.url):
            far.send_signal(signal.SIGKILL)
            assert await told(link) == [(seen.client, PresenceState.OFFLINE, DropCause.NODE_LOST)]
            # A device that had moved before is not touched by it.
            reply = await link.ask(Who(id=0, clients=(seen.client, mover.client)), PresenceReply)
            assert [one.state for one in reply.devices] == [PresenceState.OFFLINE, PresenceState.ONLINE]
            assert reply.devices[0].cause is DropCause.NODE_LOST
        # The device itself comes back by another node, at once.
        async with seen.connect(near.url):
            assert (seen.client, PresenceState.ONLINE, None) in await told(link)


# -- a dead node is noticed in 6 s, independent of the clocks --------------------------------------------------------


@pytest.mark.needs("faketime")
async def test_a_dead_node_is_noticed_in_6_s(tmp_path: Path) -> None:
    """The store's clock and the observer's wall clock move by an hour, one each way, in the middle of it."""
    for name in ("forward", "back"):
        (tmp_path / name).mkdir()
    async with asyncio.TaskGroup() as group:  # side by side, since each waits most of its time
        group.create_task(_noticed(tmp_path / "forward", store_shift_s=HOUR_S))
        group.create_task(_noticed(tmp_path / "back", store_shift_s=-HOUR_S))


async def _noticed(folder: Path, *, store_shift_s: int) -> None:
    store_clock, wall = ProcessClock(folder / "store.clock"), ProcessClock(folder / "wall.clock")
    async with server(store_clock.environ) as store, cluster(folder, store) as hub_nodes:
        near = await hub_nodes.node("near", environ=wall.environ)
        far = await hub_nodes.node("far")
        asker, seen, peer = SigningDevice(), SigningDevice(), SigningDevice()
        async with asker.connect(near.url) as link, seen.connect(far.url) as gone:
            await gone.put(seen.trust(asker))
            assert (await who(link, seen)).state is PresenceState.ONLINE
            loop = asyncio.get_running_loop()
            far.send_signal(signal.SIGKILL)
            since_s = loop.time()
            await asyncio.sleep(1.0)
            store_clock.shift(store_shift_s)
            wall.shift(-store_shift_s)
            while (now := await who(link, seen)).state is not PresenceState.OFFLINE:
                assert loop.time() - since_s < WAIT_S, "it is never noticed"
                await asyncio.sleep(POLL_S)
            assert now.cause is DropCause.NODE_LOST
            assert loop.time() - since_s < NOTICED_S + SLACK_S
            # The observer itself went on, under the clocks as they are now.
            assert isinstance(await link.put(asker.trust(peer)), Ok)
            assert near.said("lease_tombstoned") == []


async def who(link: DeviceLink, device: SigningDevice) -> Presence:
    reply = await link.ask(Who(id=0, clients=(device.client,)), PresenceReply)
    return reply.devices[0]


# -- a frozen node does nothing on waking ------------------------------------------------------------------------------


async def fill(link: DeviceLink, frames: list[bytes]) -> None:
    """Send until no more goes out: the buffers of both ends are full. The last frame is cut in the middle."""
    for number in range(MAX_LATE):
        try:
            async with asyncio.timeout(BLOCKED_S):
                await link.socket.send(frames[number % len(frames)])
        except TimeoutError:
            return
    raise AssertionError("the buffers have no end")


def late_frames(device: SigningDevice, peers: list[SigningDevice]) -> list[bytes]:
    """What would change something if a node that may not act did it all the same."""
    said = [device.trust(peer) for peer in peers]
    return [
        encode_frame(PutStatement(id=number, kind=kind, statement=signed)) for number, (kind, signed) in enumerate(said)
    ]


async def entries(hub_nodes: Cluster, device: SigningDevice) -> object:
    return await hub_nodes.store.say(b"HLEN", keys.instances(device.client))


async def test_a_frozen_node_does_nothing_on_waking(hub_nodes: Cluster, stack: AsyncExitStack) -> None:
    near, far = await hub_nodes.node("near"), await hub_nodes.node("far")
    asker, stayed, moved = SigningDevice(), SigningDevice(), SigningDevice()
    peers = [SigningDevice() for _ in range(PAD)]
    link = await stack.enter_async_context(asker.connect(near.url))
    frozen = await stack.enter_async_context(stayed.connect(far.url))
    left_behind = await stack.enter_async_context(moved.connect(far.url))
    await frozen.put(stayed.trust(asker))
    await left_behind.put(moved.trust(asker))
    assert await watch(link, stayed, moved) == [PresenceState.ONLINE] * 2
    loop = asyncio.get_running_loop()
    with far.frozen():
        since_s = loop.time()
        new = await stack.enter_async_context(moved.connect(near.url))
        # What the old connection says meanwhile waits in the frozen node's socket.
        await fill(left_behind, late_frames(moved, peers))
        asked = [asyncio.create_task(frozen.ask(Who(id=0, clients=(asker.client,)), PresenceReply)) for _ in range(PAD)]
        assert await told(link) == [(stayed.client, PresenceState.OFFLINE, DropCause.NODE_LOST)]
        await until_so(lambda: near.said("node_lost"))
        await asyncio.sleep(since_s + FROZEN_S - loop.time())
    # On waking: devices that have moved are released, and no request of theirs is carried out.
    assert await left_behind.closed() == CloseCode.SUPERSEDED
    said = await new.ask(ListStatements(id=0, after=0), Statements)
    assert len(said.statements) == 2, "its card, and the one trust from before"
    # Who stayed is back, over the same connection and under the same number, and has one answer to each question.
    assert await told(link) == [(stayed.client, PresenceState.ONLINE, None)]
    replies = await asyncio.gather(*asked)
    assert len({reply.re for reply in replies}) == PAD
    assert isinstance(await frozen.put(stayed.trust(peers[0])), Ok)
    # Its device, on another node meanwhile, was not disturbed; no device is there twice.
    assert not new.ended.is_set()
    assert isinstance(await new.put(moved.trust(peers[0])), Ok)
    assert [await entries(hub_nodes, device) for device in (asker, stayed, moved)] == [1, 1, 1]
    assert link.waiting(PresencePush) == [], "nothing was heard of who had moved"

"""A bus that carries nothing for half a minute: what was said meanwhile arrives all the same."""

import asyncio
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from tests.fault.absences import switched
from tests.fault.nodes import Cluster, NodeProcess
from tests.fault.server import StoreServer
from tests.integration.hub.device import WAIT_S, SigningDevice
from tests.integration.hub.stage import Actor, befriend, call_in

from muster_protocol.closes import CloseCode
from muster_protocol.frames import MemberState, SessionUpdatePush
from muster_protocol.reasons import Reason

SILENT_S = 30.0
UNSUBSCRIBED = "the node is not subscribed to the bus"


def silent_bus(store: StoreServer) -> AbstractAsyncContextManager[None]:
    """Let the store refuse every channel: no node may publish or subscribe, and all else works."""
    everybody = (b"ACL", b"SETUSER", b"default")
    return switched(store, (*everybody, b"resetchannels"), (*everybody, b"allchannels"))


async def actor(stack: AsyncExitStack, node: NodeProcess, device: SigningDevice | None = None) -> Actor:
    device = device or SigningDevice()
    return Actor(device, await stack.enter_async_context(device.connect(node.url)))


async def changed(one: Actor, state: str) -> SessionUpdatePush:
    """Wait for the hub's word on a session."""
    while (update := await one.line.next_push(SessionUpdatePush)).state != state:
        continue
    return update


async def lose_notifications(hub_nodes: Cluster, stack: AsyncExitStack) -> None:
    """Call in, cut, and move over two nodes that hear nothing of each other."""
    near, far = await hub_nodes.node("near"), await hub_nodes.node("far")
    ann, bob, cid, moved = [await actor(stack, node) for node in (near, far, far, far)]
    await befriend(ann, bob, cid)
    session = await ann.create()
    await call_in(ann, bob)
    loop = asyncio.get_running_loop()
    async with silent_bus(hub_nodes.store):
        since_s = loop.time()
        # To a device on the other node: an invite, which its node finds by itself.
        results = await ann.call(cid)
        assert [result.reason for result in results.results] == [None]
        await cid.accept()
        # And back: the answer.
        await ann.take_answer()
        assert not (await ann.admit()).rejected
        # The admission: its push is lost, and CID reads it when its node says that something may have been lost.
        await changed(cid, "changed")
        await cid.say_joined(await cid.read_admission(session))
        # A cut: who is out is not told live, and reads it when its node says that something may have been lost.
        await ann.say(ann.device.untrust(bob.device))
        await changed(bob, "changed")
        shown = await bob.show(session)
        out = {member.client: (member.state, member.reason) for member in shown.members}
        assert out[bob.client] == (MemberState.OUT, Reason.NOT_TRUSTED)
        # A device that moves: its old connection is found to be superseded.
        await actor(stack, near, moved.device)
        assert await moved.line.closed() == CloseCode.SUPERSEDED  # type: ignore[attr-defined]
        for node in (near, far):
            await node.until_not_ready(UNSUBSCRIBED)
        assert loop.time() - since_s < SILENT_S, "all of it while nothing was heard"
        await asyncio.sleep(since_s + SILENT_S - loop.time())
        dora = await actor(stack, far)
        await befriend(ann, dora)
        await ann.call(dora)
    for node in (near, far):
        await node.until_ready()
    await dora.take_invite()
    for one in (ann, bob, cid, dora):
        assert not one.line.ended.is_set()  # type: ignore[attr-defined]
    async with asyncio.timeout(WAIT_S):
        await changed(cid, "changed")

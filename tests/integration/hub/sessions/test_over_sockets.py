"""The same way over real sockets: on one node, on two, and over a node that ends and another that begins."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, befriend, call_in

from muster_hub.node.node import Node
from muster_protocol.frames import GetSession, MemberState, SessionReply, SessionUpdatePush
from muster_protocol.reasons import Reason


class Sockets:
    """Connects devices to nodes; the connections end with the test."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def actor(self, node: Node, device: SigningDevice | None = None) -> Actor:
        device = device or SigningDevice()
        return Actor(device, await self._stack.enter_async_context(device.connect(node.url)))


@pytest_asyncio.fixture
async def sockets(start_node: StartNode) -> AsyncIterator[Sockets]:
    async with AsyncExitStack() as stack:
        yield Sockets(stack)


async def test_a_device_is_called_in_over_one_node(start_node: StartNode, sockets: Sockets) -> None:
    node = await start_node("one")
    ann, bob = await sockets.actor(node), await sockets.actor(node)
    await befriend(ann, bob)
    session = await ann.create()
    await call_in(ann, bob)
    assert bob.joining[session].epoch_key == ann.inviting.epoch_key


async def know_each_other(eventually: Eventually, *nodes: Node) -> None:
    await eventually(lambda: all(len(node.context.nodes.live_nodes()) == len(nodes) for node in nodes))


async def test_a_device_is_called_in_over_two_nodes(
    start_node: StartNode, sockets: Sockets, eventually: Eventually
) -> None:
    one, two = await start_node("one"), await start_node("two")
    await know_each_other(eventually, one, two)
    ann, bob = await sockets.actor(one), await sockets.actor(two)
    await befriend(ann, bob)
    session = await ann.create()
    await call_in(ann, bob)
    assert bob.joining[session].epoch_key == ann.inviting.epoch_key
    await bob.say(bob.device.untrust(ann.device))
    for who in (ann, bob):
        update = await who.line.next_push(SessionUpdatePush)
        assert (update.client, update.state, update.reason) == (bob.client, MemberState.OUT, Reason.NOT_TRUSTED)


async def test_a_session_goes_on_when_another_node_takes_over(start_node: StartNode, sockets: Sockets) -> None:
    one = await start_node("one")
    ann, bob = await sockets.actor(one), await sockets.actor(one)
    await befriend(ann, bob)
    session = await ann.create()
    await call_in(ann, bob)
    two = await start_node("two")
    again = await sockets.actor(two, ann.device)
    ann.line = again.line
    shown = await ann.ask(GetSession(id=0, session=session, after=0), SessionReply)
    assert [member.state for member in shown.members] == [MemberState.JOINED] * 2
    bob.line = (await sockets.actor(two, bob.device)).line
    await call_in(ann, bob)
    assert bob.joining[session].epoch.epoch.number == 3

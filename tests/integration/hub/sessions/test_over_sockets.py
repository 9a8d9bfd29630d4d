"""The same way over real sockets: on one node, on two, and over a node that ends and another that begins."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio
from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.device import SigningDevice
from tests.integration.hub.stage import Actor, befriend, call_in

from muster_hub.node import outbox
from muster_hub.node.node import Node
from muster_protocol.exchange import Invite
from muster_protocol.frames import (
    AdmissionPush,
    AnswerPush,
    CancelInvite,
    GetSession,
    InvitePush,
    InviteUpdatePush,
    MemberState,
    Ok,
    SessionReply,
    SessionUpdatePush,
)
from muster_protocol.reasons import Reason
from muster_protocol.signed import read


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


async def test_what_a_device_acknowledged_does_not_come_again_on_its_connection(
    start_node: StartNode, sockets: Sockets
) -> None:
    """Nor when the hub goes over its outbox once more, in which the end of an invite stands."""
    node = await start_node("one")
    ann, bob = await sockets.actor(node), await sockets.actor(node)
    await befriend(ann, bob)
    await ann.create()
    await ann.call(bob)
    ended = (await bob.take_invite()).received.invite
    await ann.ask(CancelInvite(id=0, session=ended.session, client=bob.client, invite=ended.invite), Ok)
    await bob.acknowledge(await bob.line.next_push(InviteUpdatePush))
    await ann.create()
    await call_in(ann, bob)
    for _ in range(3):
        await outbox.run_once(node.context, min_age_ms=0)
    for one, other in ((ann, bob), (bob, ann)):
        await one.create()
        await one.call(other)
        # Pushes come in their order, so what was repeated would have come before this one.
        assert read((await other.line.next_push(InvitePush)).invite, Invite).session == one.session
        for kind in (AdmissionPush, AnswerPush, InviteUpdatePush):
            assert not other.line.waiting(kind), kind.__name__


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

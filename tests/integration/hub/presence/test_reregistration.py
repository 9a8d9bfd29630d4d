"""A node that was taken for dead, and is not: it comes back under a new incarnation with its devices."""

from tests.integration.hub.conftest import Eventually, StartNode
from tests.integration.hub.device import SigningDevice

from muster_hub.node.bus_link import BusLink
from muster_hub.node.node import Node
from muster_hub.presence.record import read_presence
from muster_hub.store.keys import LEASES
from muster_hub.store.scripts import script
from muster_hub.store.steps import change
from muster_protocol.closes import CloseCode
from muster_protocol.frames import ListStatements, Ok, PresenceReply, PresenceState, Statements, Who
from muster_protocol.ids import Fingerprint


async def tombstone(node: Node, observer: Node) -> str:
    """Write a tombstone for a node's incarnation, as an observer does; return the incarnation."""
    incarnation = node.context.nodes.incarnation
    store = observer.context.store
    ended: object = 0
    while ended != 1:  # the counter moves on between the look and the tombstone
        row = node._nodes.keeper.table.own_row()
        assert row is not None
        args = (node.context.nodes.node, incarnation, row.counter)
        ended = await change(store, script("tombstone"), [LEASES], *args)
    return incarnation


async def test_a_node_with_a_tombstone_brings_its_devices_back(start_node: StartNode, eventually: Eventually) -> None:
    one, two = await start_node("one"), await start_node("two")
    device, asker = SigningDevice(), SigningDevice()
    async with device.connect(one.url) as link, asker.connect(two.url) as asking:
        await link.put(device.trust(asker))
        old = await tombstone(one, two)
        await eventually(lambda: one.context.nodes.incarnation != old and one.context.nodes.acting())
        found = await read_presence(two.context.store, device.client, device.client, Fingerprint(b""))
        assert [(number, row.incarnation) for number, row in found.instances] == [
            (link.welcome.connection, one.context.nodes.incarnation)
        ]
        reply = await asking.ask(Who(id=0, clients=(device.client,)), PresenceReply)
        assert reply.devices[0].state is PresenceState.ONLINE
        # The connection never noticed, and its number is still good for what it says.
        assert isinstance(await link.put(device.trust(SigningDevice())), Ok)


async def test_a_device_that_moved_meanwhile_is_not_disturbed(start_node: StartNode, eventually: Eventually) -> None:
    one, two = await start_node("one"), await start_node("two")
    device = SigningDevice()
    async with device.connect(one.url) as left_behind:
        two._router._bus = BusLink()  # it leads nowhere: the message that closes the old connection is lost
        async with device.connect(two.url) as moved:
            old = await tombstone(one, two)
            assert await left_behind.closed() == CloseCode.SUPERSEDED
            await eventually(lambda: one.context.nodes.incarnation != old)
            assert isinstance(await moved.ask(ListStatements(id=0, after=0), Statements), Statements)
            found = await read_presence(two.context.store, device.client, device.client, Fingerprint(b""))
            assert [number for number, _ in found.instances] == [moved.welcome.connection]

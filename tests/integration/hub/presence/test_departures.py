"""Departures: the store learns of each, however long it takes, and of entries that no connection holds."""

import os

from tests.integration.hub.conftest import Ask, Eventually, StartNode, frozen
from tests.integration.hub.device import SigningDevice, now_ms

from muster_hub.node.node import Node
from muster_hub.presence.record import read_presence
from muster_hub.presence.registry import ConnectingDevice, Registered, connect
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.rows import InstanceRow
from muster_protocol.cards import verify_card
from muster_protocol.connect import Role
from muster_protocol.ids import Fingerprint, InstanceId, TimeMs
from muster_protocol.reasons import Reason


async def entries(node: Node, device: SigningDevice) -> list[int]:
    found = await read_presence(node.context.store, device.client, device.client, Fingerprint(b""))
    return [number for number, _ in found.instances]


async def enter_unheld(node: Node, device: SigningDevice) -> Registered:
    """Do in the store what a connect does whose answer got lost: an entry of this node that no connection holds."""
    nodes = node.context.nodes
    newcomer = ConnectingDevice(verify_card(device.card()), Role.AGENT, InstanceId(os.urandom(16)), 0, now_ms())
    row = InstanceRow(newcomer.instance, Role.AGENT, nodes.node, nodes.incarnation, TimeMs(1))
    connected = await connect(node.context.store, newcomer, row)
    assert isinstance(connected, Registered)
    return connected


async def test_a_device_that_left_while_the_store_was_away_is_gone_when_it_is_back(
    own_store: EmbeddedStore, start_node: StartNode, eventually: Eventually
) -> None:
    node = await start_node(store=own_store.url)
    device = SigningDevice()
    async with device.connect(node.url) as link:
        assert await entries(node, device) == [link.welcome.connection]
        with frozen(own_store):
            await link.socket.close()
            await eventually(lambda: len(node.context.router) == 0)

    async def gone() -> bool:
        return await entries(node, device) == []

    await eventually(gone)


async def test_an_entry_without_a_connection_is_found_and_taken_out(node: Node, eventually: Eventually) -> None:
    device = SigningDevice()
    await enter_unheld(node, device)
    node._departures.suspect(device.client)

    async def gone() -> bool:
        return await entries(node, device) == []

    await eventually(gone)


async def test_a_connected_device_is_not_taken_out_on_suspicion(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        node._departures.suspect(device.client)
        await node._departures.settled()
        assert await entries(node, device) == [link.welcome.connection]


async def test_a_lost_nodes_command_lines_make_place(node: Node) -> None:
    """Eight entries of an unknown incarnation do not lock a device out."""
    device = SigningDevice()
    for _ in range(8):
        newcomer = ConnectingDevice(verify_card(device.card()), Role.CLI, InstanceId(os.urandom(16)), 0, now_ms())
        row = InstanceRow(newcomer.instance, Role.CLI, "lost", "lost", TimeMs(1))
        assert isinstance(await connect(node.context.store, newcomer, row), Registered)
    async with device.connect(node.url, role=Role.CLI) as link:
        assert link.welcome.connection in await entries(node, device)


async def test_what_restricts_is_taken_also_when_memory_is_full(
    own_store: EmbeddedStore, start_node: StartNode, ask_store: Ask
) -> None:
    node = await start_node(store=own_store.url)
    device, peer, other = SigningDevice(), SigningDevice(), SigningDevice()
    async with device.connect(node.url) as link:
        trust, grant = device.trust(peer), device.grant(peer)
        for statement in (trust, grant):
            await link.put(statement)
        await ask_store(node, b"CONFIG", b"SET", b"maxmemory", b"1")
        refused = await link.put(device.trust(other))
        assert getattr(refused, "reason", None) is Reason.STORE_FULL
        assert getattr(await link.put(device.untrust(peer)), "reason", None) is None
        await ask_store(node, b"CONFIG", b"SET", b"maxmemory", b"0")

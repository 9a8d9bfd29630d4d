"""Connecting: who is admitted, under which number, and who is superseded."""

import os

from tests.integration.hub.conftest import Eventually, Links, StartNode
from tests.integration.hub.device import SigningDevice

from muster_hub.node.node import Node
from muster_hub.presence.record import read_presence
from muster_hub.store.keys import MAX_CLI_INSTANCES
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import DropCause, ListStatements, PresenceReply, Statements, Who
from muster_protocol.ids import Fingerprint, InstanceId


async def test_a_device_is_welcomed_by_the_hub_that_it_pinned(node: Node) -> None:
    async with SigningDevice().connect(node.url, pinned_hub=node.fingerprint) as link:
        welcome = link.welcome
        assert welcome.connection > 0
        assert welcome.protocol == 1
        assert welcome.newest_serial == 0
        assert welcome.standing is None
        assert welcome.token is not None


async def test_every_connection_has_a_larger_number_than_the_ones_before(node: Node) -> None:
    device = SigningDevice()
    numbers = []
    for role in (Role.AGENT, Role.CLI, Role.AGENT):
        async with device.connect(node.url, role=role) as link:
            numbers.append(link.welcome.connection)
    assert numbers == sorted(set(numbers))


async def test_the_newest_agent_takes_the_seat_at_once(node: Node) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as older, device.connect(node.url) as newer:
        assert await older.closed() == CloseCode.SUPERSEDED
        assert isinstance(await newer.ask_any(ListStatements(id=0, after=0)), Statements)


async def test_the_newest_agent_takes_the_seat_from_another_node(start_node: StartNode) -> None:
    one, two = await start_node("one"), await start_node("two")
    device = SigningDevice()
    async with device.connect(one.url) as older, device.connect(two.url):
        assert await older.closed() == CloseCode.SUPERSEDED


async def test_a_superseded_connection_takes_only_its_own_entry_with_it(node: Node, eventually: Eventually) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as older, device.connect(node.url) as newer:
        await older.closed()
        await eventually(lambda: len(node.context.router) == 1)
        found = await read_presence(node.context.store, device.client, device.client, Fingerprint(b""))
        assert [number for number, _ in found.instances] == [newer.welcome.connection]
        assert found.cause is None


async def test_a_command_line_beyond_the_limit_takes_the_place_of_the_oldest(node: Node, links: Links) -> None:
    device = SigningDevice()
    agent = await links.enter_async_context(device.connect(node.url, role=Role.AGENT))
    lines = [
        await links.enter_async_context(device.connect(node.url, role=Role.CLI)) for _ in range(MAX_CLI_INSTANCES + 2)
    ]
    assert [await lines[place].closed() for place in (0, 1)] == [CloseCode.SUPERSEDED] * 2
    for line in (agent, *lines[2:]):
        assert isinstance(await line.ask_any(Who(id=0, clients=())), PresenceReply)


async def test_the_same_process_takes_its_own_place(node: Node, links: Links) -> None:
    device, instance = SigningDevice(), InstanceId(os.urandom(16))
    first = await links.enter_async_context(device.connect(node.url, role=Role.CLI, instance=instance))
    await links.enter_async_context(device.connect(node.url, role=Role.CLI, instance=instance))
    assert await first.closed() == CloseCode.SUPERSEDED


async def test_a_leave_leaves_time_and_cause(node: Node, eventually: Eventually) -> None:
    device = SigningDevice()
    async with device.connect(node.url) as link:
        number = link.welcome.connection

    async def gone() -> bool:
        found = await read_presence(node.context.store, device.client, device.client, Fingerprint(b""))
        return not found.instances and found.cause is DropCause.CLOSED and (found.last_seen or 0) >= number

    await eventually(gone)

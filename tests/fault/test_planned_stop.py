"""Planned stops: a device that comes back in time is not announced as offline, and nothing acknowledged is lost."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from tests.fault.nodes import Cluster, NodeProcess
from tests.integration.hub.device import WAIT_S, DeviceLink, SigningDevice

from muster_hub.node.drain import spread_s
from muster_protocol.cards import Card
from muster_protocol.closes import CloseCode
from muster_protocol.codec import decode_closed
from muster_protocol.frames import (
    DropCause,
    ListStatements,
    Ok,
    PresencePush,
    PresenceReply,
    PresenceState,
    Statements,
    Watch,
    Who,
)
from muster_protocol.governance import Trust
from muster_protocol.labels import Kind
from muster_protocol.signed import Signed

DEVICES = 24
STATEMENTS_AT_ONCE = 16
NEVER_ON_A_CLEAN_END = ("Traceback", "Task was destroyed", "never retrieved", "never awaited", "unhandled")


async def come_back(device: SigningDevice, link: DeviceLink, url: str, stack: AsyncExitStack) -> DeviceLink:
    """Do as an agent does: wait for the close, then for as long as the hub asked, and connect again."""
    assert await link.closed() == CloseCode.GOING_AWAY
    assert link.goaway is not None
    await asyncio.sleep(link.goaway.retry_after_ms / 1000)
    return await stack.enter_async_context(device.connect(url))


def assert_clean(node: NodeProcess) -> None:
    log = (node.folder / "log").read_text()
    assert not [word for word in NEVER_ON_A_CLEAN_END if word in log], log


async def test_a_watcher_does_not_see_a_device_leave_that_is_back_in_time(
    hub_nodes: Cluster, stack: AsyncExitStack
) -> None:
    near, far = await hub_nodes.node("near"), await hub_nodes.node("far")
    asker, witness = SigningDevice(), SigningDevice()
    link = await stack.enter_async_context(asker.connect(near.url))
    standing = await stack.enter_async_context(witness.connect(near.url))
    await standing.put(witness.trust(asker))
    devices = [SigningDevice() for _ in range(DEVICES)]
    links = [await stack.enter_async_context(device.connect(far.url)) for device in devices]
    for device, connection in zip(devices, links, strict=True):
        await connection.put(device.trust(asker))
    everybody = tuple(device.client for device in (*devices, witness))
    shown = await link.ask(Watch(id=0, clients=everybody), PresenceReply)
    assert {one.state for one in shown.devices} == {PresenceState.ONLINE}

    far.send_signal(signal.SIGTERM)
    returned = await asyncio.gather(
        *(come_back(device, one, near.url, stack) for device, one in zip(devices, links, strict=True))
    )
    assert await far.ended() == 0
    times_ms = [one.goaway.retry_after_ms for one in links if one.goaway is not None]
    assert max(times_ms) <= spread_s(DEVICES) * 1000
    assert max(times_ms) - min(times_ms) > spread_s(DEVICES) * 500
    shown = await link.ask(Who(id=0, clients=everybody), PresenceReply)
    assert {one.state for one in shown.devices} == {PresenceState.ONLINE}

    # A device that leaves without a goaway is announced, and by then all others would have been.
    await standing.socket.close()
    seen: list[tuple[str, PresenceState]] = []
    while (witness.client, PresenceState.OFFLINE) not in seen:
        push = await link.next_push(PresencePush)
        seen += [(one.client, one.state) for one in push.devices]
    assert [client for client, state in seen if state is not PresenceState.ONLINE] == [witness.client]
    assert len(returned) == DEVICES
    assert_clean(far)


async def test_a_device_that_does_not_come_back_is_announced_as_gone_in_the_end(
    hub_nodes: Cluster, stack: AsyncExitStack
) -> None:
    near, far = await hub_nodes.node("near"), await hub_nodes.node("far")
    asker, gone = SigningDevice(), SigningDevice()
    link = await stack.enter_async_context(asker.connect(near.url))
    connection = await stack.enter_async_context(gone.connect(far.url))
    await connection.put(gone.trust(asker))
    await link.ask(Watch(id=0, clients=(gone.client,)), PresenceReply)
    far.send_signal(signal.SIGTERM)
    assert await connection.closed() == CloseCode.GOING_AWAY
    assert await far.ended() == 0
    # Asked for, it is what it is; who only watches is told later.
    reply = await link.ask(Who(id=0, clients=(gone.client,)), PresenceReply)
    assert reply.devices[0].state is PresenceState.OFFLINE
    assert not link.waiting(PresencePush)
    push = await link.next_push(PresencePush)
    assert [(one.client, one.state, one.cause) for one in push.devices] == [
        (gone.client, PresenceState.OFFLINE, DropCause.CLOSED)
    ]


async def test_readyz_turns_first_and_devices_are_still_served_then(hub_nodes: Cluster, stack: AsyncExitStack) -> None:
    node = await hub_nodes.node("one", "--stop-grace-s", "300")
    early = await stack.enter_async_context(SigningDevice().connect(node.url))
    node.send_signal(signal.SIGTERM)
    await node.until_not_ready("stopping")
    status, _ = await node.readyz()
    assert status == 503
    late = await stack.enter_async_context(SigningDevice().connect(node.url))
    for link in (early, late):
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)
        assert link.goaway is None
    node.send_signal(signal.SIGTERM)  # the second one does not wait
    assert await node.ended() == 130


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


async def keep_saying(link: DeviceLink, said: list[int]) -> None:
    """Put statements, one after another, until the connection ends; note the serial of each that was acknowledged."""
    while not link.ended.is_set():
        statement = link.device.trust(SigningDevice())
        serial = link.device.serial
        try:
            reply = await link.put(statement)
        except ConnectionError:
            return
        if isinstance(reply, Ok):
            said.append(serial)


def serial(kind: Kind, statement: Signed) -> int:
    if kind is Kind.CARD:
        return decode_closed(statement.body, Card).serial
    return decode_closed(statement.body, Trust).serial


async def listed(link: DeviceLink) -> set[int]:
    """Return the serials of the device's own statements, as the hub has them."""
    serials: set[int] = set()
    after, more = 0, True
    while more:
        reply = await link.ask(ListStatements(id=0, after=after), Statements)
        found = [serial(one.kind, one.statement) for one in reply.statements]
        serials.update(found)
        after, more = after + len(found), reply.more
    return serials


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_nothing_acknowledged_is_lost(hub_nodes: Cluster, stack: AsyncExitStack, number: signal.Signals) -> None:
    node = await hub_nodes.node("one")
    links = [await stack.enter_async_context(SigningDevice().connect(node.url)) for _ in range(STATEMENTS_AT_ONCE)]
    said: list[list[int]] = [[] for _ in links]
    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as group:
        for link, serials in zip(links, said, strict=True):
            group.create_task(keep_saying(link, serials))
        await until(lambda: all(said))
        node.send_signal(number)
    assert await node.ended() == 0
    assert [link.close_code for link in links] == [CloseCode.GOING_AWAY] * len(links)
    assert all(link.goaway is not None for link in links)
    assert_clean(node)

    again = await hub_nodes.node("one")
    for link, serials in zip(links, said, strict=True):
        async with link.device.connect(again.url) as new:
            assert set(serials) <= await listed(new)

"""Nodes that die, and nodes that only seemed to: real processes, real signals."""

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from tests.integration.hub.device import Device, Link
from tests.integration.hub.hub_process import process, ready

from muster_hub.hub_key import load_or_create
from muster_hub.store.embedded import EmbeddedStore
from muster_protocol.closes import CloseCode
from muster_protocol.frames import (
    DropCause,
    ListStatements,
    Ok,
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

HubProcess = tuple[str, int]
"""Its URL and its process id."""
StartHub = Callable[[str], Awaitable[HubProcess]]


@pytest_asyncio.fixture
async def start_hub(tmp_path: Path) -> AsyncIterator[StartHub]:
    """Start nodes of one hub, each a process, on one store."""
    load_or_create(tmp_path / "hub.key")
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(EmbeddedStore(tmp_path / "store"))

        async def start(name: str) -> HubProcess:
            arguments = ("--listen", "127.0.0.1:0", "--store", store.url, "--data-dir", str(tmp_path / name))
            started = await stack.enter_async_context(
                process("--json", "--key-file", str(tmp_path / "hub.key"), *arguments)
            )
            return str((await ready(started))["url"]), started.pid

        yield start


async def watch(link: Link, *devices: Device) -> list[PresenceState]:
    reply = await link.ask(Watch(id=0, clients=tuple(device.client for device in devices)), PresenceReply)
    return [one.state for one in reply.devices]


async def told(link: Link) -> list[tuple[ClientId, PresenceState, DropCause | None]]:
    push = await link.next_push(PresencePush)
    return sorted((one.client, one.state, one.cause) for one in push.devices)


async def test_a_dead_node_takes_its_devices_with_it(start_hub: StartHub) -> None:
    near, _ = await start_hub("near")
    far, far_pid = await start_hub("far")
    asker, seen, mover = Device(), Device(), Device()
    async with asker.connect(near) as link, seen.connect(far) as gone, mover.connect(far) as moving:
        for device, connection in ((seen, gone), (mover, moving)):
            await connection.put(device.trust(asker))
        assert await watch(link, seen, mover) == [PresenceState.ONLINE, PresenceState.ONLINE]
        async with mover.connect(near):
            os.kill(far_pid, signal.SIGKILL)
            assert await told(link) == [(seen.client, PresenceState.OFFLINE, DropCause.NODE_LOST)]
            # Whoever had moved before is not touched by it.
            reply = await link.ask(Who(id=0, clients=(seen.client, mover.client)), PresenceReply)
            assert [one.state for one in reply.devices] == [PresenceState.OFFLINE, PresenceState.ONLINE]
            assert reply.devices[0].cause is DropCause.NODE_LOST
        # The device itself comes back by another node, at once.
        async with seen.connect(near):
            assert (seen.client, PresenceState.ONLINE, None) in await told(link)


async def test_a_frozen_node_does_nothing_on_waking(start_hub: StartHub) -> None:
    near, _ = await start_hub("near")
    far, far_pid = await start_hub("far")
    asker, stayed, moved, peer = Device(), Device(), Device(), Device()
    async with asker.connect(near) as link, stayed.connect(far) as frozen, moved.connect(far) as left_behind:
        await frozen.put(stayed.trust(asker))
        assert await watch(link, stayed) == [PresenceState.ONLINE]
        os.kill(far_pid, signal.SIGSTOP)
        try:
            async with moved.connect(near) as new:
                # What the old connection says meanwhile waits in the frozen node's socket.
                kind, late = moved.trust(peer)
                await left_behind.socket.send(encode_frame(PutStatement(id=1, kind=kind, statement=late)))
                assert await told(link) == [(stayed.client, PresenceState.OFFLINE, DropCause.NODE_LOST)]
                os.kill(far_pid, signal.SIGCONT)
                assert await left_behind.closed() == CloseCode.SUPERSEDED
                said = await new.ask(ListStatements(id=0, after=0), Statements)
                assert said.statements == ()
            # Who stayed is back, over the same connection and under the same number.
            assert await told(link) == [(stayed.client, PresenceState.ONLINE, None)]
            assert isinstance(await frozen.put(stayed.trust(peer)), Ok)
        finally:
            os.kill(far_pid, signal.SIGCONT)

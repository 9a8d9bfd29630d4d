"""A hub that pushes more than a device can tell it that it has handled."""

import asyncio
from pathlib import Path

from tests.integration.client.conftest import WAIT_S, free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Device
from muster_client.concurrency import companions
from muster_client.connection.connection import HubConnection
from muster_client.connection.link import Link
from muster_client.connection.push_queue import MAX_QUEUED_PUSHES, MAX_UNACKNOWLEDGED
from muster_client.events import Disconnected, Event
from muster_protocol.frames import Ack, Push, SessionUpdatePush, decode_frame, encode_frame
from muster_protocol.ids import SessionId

FIRST = 3 * MAX_UNACKNOWLEDGED
"""Pushes of the first wave: fewer than may wait, and more than may be handled unacknowledged."""


def push(number: int) -> Push:
    return SessionUpdatePush(push=str(number), session=SessionId("a" * 32), client=None, state="changed", reason=None)


async def test_no_more_is_handled_than_may_wait_to_be_acknowledged(tmp_path: Path) -> None:
    """The hub answers no `ack`: what is handled meanwhile has a limit, then what waits to be, then the connection."""
    port = free_port()
    handled: list[str | None] = []
    grew, ended = asyncio.Condition(), asyncio.Event()
    told: list[Event] = []

    async def on_welcome(_: HubConnection) -> None:
        return

    async def on_push(_: HubConnection, pushed: Push) -> None:
        async with grew:
            handled.append(pushed.push)
            grew.notify_all()

    def tell(event: Event) -> None:
        told.append(event)
        if isinstance(event, Disconnected):
            ended.set()

    expected: list[int] = []

    async def flood(connection: ServerConnection) -> None:
        numbers = iter(range(FIRST + MAX_QUEUED_PUSHES + 1))
        for number, _ in zip(numbers, range(FIRST), strict=False):
            await connection.send(encode_frame(push(number)))
        ack = decode_frame(await connection.recv(decode=False))
        assert isinstance(ack, Ack)
        # Those under way, those that wait behind them, and the one that found no room.
        expected.append(len(ack.pushes) + MAX_UNACKNOWLEDGED + 1)
        async with grew:
            await grew.wait_for(lambda: len(handled) >= expected[0])
        for number in numbers:
            await connection.send(encode_frame(push(number)))
        await connection.wait_closed()

    async with scripted_hub(port, flood):
        with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
            link = Link(device, on_welcome=on_welcome, on_push=on_push, tell=tell)
            async with companions() as beside, asyncio.timeout(WAIT_S):
                beside.start(link.run())
                await ended.wait()
    assert len(handled) == expected[0]
    (gone,) = (event for event in told if isinstance(event, Disconnected))
    assert gone.sentence == "more pushes came than this device could handle"

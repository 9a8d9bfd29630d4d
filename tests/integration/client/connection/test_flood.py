"""A hub that pushes more than a device can tell it that it has handled."""

import asyncio
from pathlib import Path

from tests.integration.client.conftest import free_port, until
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Device
from muster_client.concurrency import companions
from muster_client.connection.connection import HubConnection
from muster_client.connection.link import Link
from muster_client.connection.push_queue import MAX_QUEUED_PUSHES, MAX_UNACKNOWLEDGED
from muster_client.events import Broadcast, Disconnected, Event
from muster_protocol.frames import Ack, Push, SessionUpdatePush, decode_frame, encode_frame
from muster_protocol.ids import SessionId

FIRST = 3 * MAX_UNACKNOWLEDGED
"""Pushes of the first wave: fewer than may wait, and more than may be handled unacknowledged."""


def push(number: int) -> Push:
    return SessionUpdatePush(push=str(number), session=SessionId("a" * 32), client=None, state="changed", reason=None)


class Taker:
    """Takes every push, and counts."""

    def __init__(self) -> None:
        self.handled: list[str | None] = []
        self.grew = asyncio.Condition()

    async def begin(self, connection: HubConnection) -> None:
        return

    async def handle(self, connection: HubConnection, push: Push) -> None:
        async with self.grew:
            self.handled.append(push.push)
            self.grew.notify_all()


async def test_no_more_is_handled_than_may_wait_to_be_acknowledged(tmp_path: Path) -> None:
    """The hub answers no ``ack``: what is handled meanwhile has a limit, then what waits to be, then the connection."""
    port = free_port()
    handler, events = Taker(), Broadcast[Event]()
    expected: list[int] = []

    async def flood(connection: ServerConnection) -> None:
        numbers = iter(range(FIRST + MAX_QUEUED_PUSHES + 1))
        for number, _ in zip(numbers, range(FIRST), strict=False):
            await connection.send(encode_frame(push(number)))
        ack = decode_frame(await connection.recv(decode=False))
        assert isinstance(ack, Ack)
        # Those under way, those that wait behind them, and the one that found no room.
        expected.append(len(ack.pushes) + MAX_UNACKNOWLEDGED + 1)
        async with handler.grew:
            await handler.grew.wait_for(lambda: len(handler.handled) >= expected[0])
        for number in numbers:
            await connection.send(encode_frame(push(number)))
        await connection.wait_closed()

    async with scripted_hub(port, flood):
        with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as device:
            link, told = Link(device, events), events.listen()
            async with companions() as beside:
                beside.start(link.run(handler))
                gone = await until(told, Disconnected)
    assert len(handler.handled) == expected[0]
    assert gone.sentence == "more pushes came than this device could handle"

"""A hub that says when to come back, and command lines that go away in the middle."""

import asyncio
import signal
import socket
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from tests.integration.client.conftest import WAIT_S, HubProcess, befriend, free_port, until
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Agent, Device, Hub, SessionRequest
from muster_client.connection.backoff import BASE_S, MAX_RETRY_AFTER_S
from muster_client.control.lock import read_holder
from muster_client.control.messages import StartRequest
from muster_client.events import Disconnected, SessionEnded
from muster_client.paths import LOCK_FILE
from muster_protocol.closes import CloseCode
from muster_protocol.frames import Goaway, encode_frame


def ending_hub(port: int, retry_after_ms: int) -> AbstractAsyncContextManager[None]:
    """Stand for a hub that is about to end: it welcomes, and says goodbye."""

    async def end(connection: ServerConnection) -> None:
        await connection.send(encode_frame(Goaway(retry_after_ms=retry_after_ms)))
        await connection.close(CloseCode.GOING_AWAY)

    return scripted_hub(port, end)


@pytest.mark.parametrize(
    ("retry_after_ms", "at_least_s"), [(7_000, 7.0), (0, 0.0), (30 * 24 * 3_600_000, MAX_RETRY_AFTER_S)]
)
async def test_an_agent_comes_back_when_the_hub_told_it_to_and_not_all_at_once(
    tmp_path: Path, retry_after_ms: int, at_least_s: float
) -> None:
    port = free_port()
    waits = set()
    async with ending_hub(port, retry_after_ms):
        for name in ("one", "two", "three"):
            with Device.create(tmp_path / name, hub_url=f"ws://127.0.0.1:{port}") as device:
                async with Agent.open(device) as agent:
                    gone = await until(agent.events(), Disconnected)
            assert gone.cause == f"closed_{CloseCode.GOING_AWAY.value}"
            assert at_least_s <= gone.retry_in_s <= at_least_s + BASE_S
            waits.add(gone.retry_in_s)
    assert len(waits) == 3, "each adds a random time of its own"


async def test_a_start_whose_command_line_went_away_leaves_no_session(
    own_hub: HubProcess, make_device, open_agent
) -> None:
    laptop, nas = make_device("laptop"), make_device("nas")
    befriend(laptop, nas)
    agent = await open_agent(laptop)
    events = agent.events()
    holder = read_holder(laptop.path / LOCK_FILE)
    assert holder is not None
    assert holder.socket is not None
    own_hub.tell(signal.SIGSTOP)
    try:
        with socket.socket(socket.AF_UNIX) as command_line:
            command_line.connect(holder.socket)
            command_line.sendall(msgspec.json.encode(StartRequest(session=SessionRequest((nas.client,)))) + b"\n")
            async with asyncio.timeout(WAIT_S):
                # Nothing tells that the request is on its way to the hub, which is frozen.
                while not agent._link.connection._open:  # noqa: ASYNC110
                    await asyncio.sleep(0)
    finally:
        own_hub.tell(signal.SIGCONT)
    await until(events, SessionEnded)
    assert agent.sessions() == ()
    async with Hub.connect(laptop) as hub:
        assert [one for one in await hub.sessions() if one.open] == []

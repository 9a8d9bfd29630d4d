"""A hub whose reply this version cannot read, as a newer one's may be: the request ends at once, and says why."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_client import Device, Hub
from muster_client.errors import ReplyUnreadable
from muster_protocol.cards import Mode
from muster_protocol.frames import Purpose
from muster_protocol.ids import ClientId

OTHER = ClientId("l6fxrmdh7fuf5d7e3fwq2kvvht562csd")
UNREADABLE: dict[str, dict[str, Any]] = {
    "a check that is not known": {"t": "decision", "reason": None, "trace": [["weather", True]]},
    "a reason that is not known": {"t": "error", "reason": "bad_weather"},
    "a type that is not known": {"t": "forecast"},
    "the reply to another request": {"t": "presence", "devices": []},
}


@pytest.mark.parametrize("reply", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_reply_that_cannot_be_read_ends_its_request(tmp_path: Path, reply: dict[str, Any]) -> None:
    port = free_port()

    async def play(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            request: dict[str, Any] = msgspec.msgpack.decode(message)
            said = reply if request["t"] == "why" else {"t": "ok"}
            await connection.send(msgspec.msgpack.encode({"re": request["id"], **said}))

    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        async with scripted_hub(port, play), Hub.connect(laptop) as hub:
            with pytest.raises(ReplyUnreadable, match="protocol 1"):
                await hub.why(laptop.client, OTHER, mode=Mode.JOIN, profile=None, purpose=Purpose.ASK)


async def test_what_replies_to_no_request_is_passed_over(tmp_path: Path) -> None:
    port = free_port()

    async def play(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            request: dict[str, Any] = msgspec.msgpack.decode(message)
            for number in (request["id"] + 100, "1", None, -1, True):
                await connection.send(msgspec.msgpack.encode({"re": number, "t": "forecast"}))
            await connection.send(b"\xc1")
            answer = {"t": "presence", "devices": []} if request["t"] == "who" else {"t": "ok"}
            await connection.send(msgspec.msgpack.encode({"re": request["id"], **answer}))

    with Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}") as laptop:
        async with scripted_hub(port, play), Hub.connect(laptop) as hub:
            assert await hub.who([]) == ()

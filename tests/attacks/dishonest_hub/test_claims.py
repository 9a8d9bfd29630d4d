"""A hub whose plain ``error`` would have a person give up a device or a pinned key: nothing in it is signed."""

from pathlib import Path

import msgspec
import pytest
from tests.attacks.dishonest_hub.test_terminal import device_at, run
from tests.integration.client.conftest import free_port
from tests.integration.client.scripted_hub import scripted_hub
from websockets.asyncio.server import ServerConnection

from muster_protocol.reasons import Reason


@pytest.mark.parametrize("command", ["doctor", "who"])
@pytest.mark.parametrize("reason", [Reason.DEVICE_REVOKED, Reason.HUB_KEY_CHANGED])
async def test_no_unsigned_error_has_a_person_give_up_an_identity(tmp_path: Path, reason: Reason, command: str) -> None:
    async def claim(connection: ServerConnection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            error = {"t": "error", "re": msgspec.msgpack.decode(message)["id"], "reason": reason.value, "detail": ""}
            await connection.send(msgspec.msgpack.encode(error))

    port = free_port()
    async with scripted_hub(port, claim, changes=7), device_at(tmp_path / "laptop", port) as folder:
        written = await run(folder, command)
    assert "The hub says, and does not prove: " in written
    assert "muster init" not in written
    assert "muster hub trust" not in written

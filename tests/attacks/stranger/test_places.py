"""Identities, which cost nothing, by which a stranger takes the places of the hub."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.integration.hub.device import RefusedByHubError, SigningDevice
from tests.integration.hub.hub_process import process, ready
from tests.rubbish.peers import Door

from muster_protocol.closes import CloseCode, is_stop
from muster_protocol.connect import Role
from muster_protocol.reasons import Reason

STRANGER, OTHER = "127.0.0.2", "127.0.0.3"
PLACES = 3


async def test_one_address_cannot_take_all_places(tmp_path: Path) -> None:
    arguments = ("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), "--max-per-address", str(PLACES))
    async with process(*arguments) as hub, AsyncExitStack() as stack:
        url = str((await ready(hub))["url"])
        links = [
            await stack.enter_async_context(SigningDevice().connect(url, role=role, source=STRANGER))
            for role in (Role.AGENT, Role.CLI, Role.AGENT)
        ]
        with pytest.raises(RefusedByHubError) as caught:
            await stack.enter_async_context(SigningDevice().connect(url, source=STRANGER))
        refused = caught.value.refused
        assert (refused.reason, refused.code) == (Reason.OVERLOADED, CloseCode.OVERLOADED)
        assert not is_stop(refused.code)
        assert refused.retry_after_ms
        await stack.enter_async_context(SigningDevice().connect(url, source=OTHER))
        await links[0].socket.close()
        await stack.enter_async_context(SigningDevice().connect(url, source=STRANGER))


async def test_messages_that_prove_nothing_take_no_places(tmp_path: Path) -> None:
    arguments = ("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path), "--max-per-address", str(PLACES))
    async with process(*arguments) as hub:
        url = str((await ready(hub))["url"])
        door = Door("127.0.0.1", int(url.rpartition(":")[2]))
        for _ in range(2 * PLACES):
            async with door.websocket(STRANGER) as peer:
                await peer.message_of_hub()
                peer.message(b"no hello at all")
                assert (await peer.ending()).code == CloseCode.PROTOCOL_VIOLATION
        async with SigningDevice().connect(url, source=STRANGER):
            pass

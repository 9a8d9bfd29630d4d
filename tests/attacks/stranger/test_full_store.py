"""A store that was filled up to its budget: nothing more is kept, and trust can still be ended."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis
from tests.integration.hub.device import RefusedByHubError, SigningDevice
from tests.integration.hub.hub_process import process, ready

from muster_protocol.frames import Error, Ok
from muster_protocol.reasons import Reason

BUDGET_MIB = 16
PIECE = bytes(1 << 18)
BEYOND = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])"
"""What restricts may go beyond the budget. This keeps the store full when the buffers of a connection become free."""


def fill(socket: Path) -> None:
    """Write until the store takes no more, and a bit beyond."""
    with redis.Redis(unix_socket_path=str(socket)) as store:
        assert any(not takes(store, f"filler:{number}") for number in range(BUDGET_MIB << 2))
        for number in range(4):
            store.eval(BEYOND, 1, f"beyond:{number}", PIECE)


def takes(store: redis.Redis, key: str) -> bool:
    try:
        return bool(store.set(key, PIECE))
    except redis.OutOfMemoryError:
        return False


async def test_a_full_store_still_lets_a_device_end_its_trust(tmp_path: Path) -> None:
    arguments = ("--json", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path))
    async with process(*arguments, "--store-memory-mib", str(BUDGET_MIB)) as hub, AsyncExitStack() as stack:
        url = str((await ready(hub))["url"])
        device, peer = SigningDevice(), SigningDevice()
        link = await stack.enter_async_context(device.connect(url))
        assert isinstance(await link.put(device.trust(peer)), Ok)
        fill(tmp_path / "store" / "s.sock")
        refused = await link.put(device.trust(SigningDevice()))
        assert isinstance(refused, Error)
        assert refused.reason is Reason.STORE_FULL
        assert refused.retry_after_ms
        with pytest.raises(RefusedByHubError) as caught:
            await stack.enter_async_context(SigningDevice().connect(url))
        assert caught.value.refused.reason is Reason.STORE_FULL
        again = await stack.enter_async_context(device.connect(url))
        assert isinstance(await again.put(device.untrust(peer)), Ok)

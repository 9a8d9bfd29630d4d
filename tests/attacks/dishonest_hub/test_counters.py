"""Who has the hub's key gave a device a token of the largest counter: the honest hub serves it all the same."""

from pathlib import Path

from tests.integration.client.conftest import running_hub

from muster_client import Agent, Device
from muster_protocol.continuity import hub_secret, issue
from muster_protocol.ids import MAX_TIME_MS
from muster_protocol.reasons import Reason


async def test_the_largest_counter_of_a_hub_shuts_no_device_out_of_the_honest_one(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, Device.create(tmp_path / "device", hub_url=hub.url) as device:
        async with Agent.open(device) as agent:
            await agent.connected()
        (key,) = (path for path in hub.data.rglob("*key*") if path.is_file() and path.stat().st_size == 32)
        pinned = device.pinned_hub
        assert pinned is not None
        device.keep_token(pinned, issue(hub_secret(key.read_bytes()), device.client, MAX_TIME_MS))
        for _ in range(2):
            async with Agent.open(device) as agent:
                await agent.connected()
                assert agent.status().standing is Reason.CLONE_SUSPECTED
                token = device.token(pinned)
                assert token is not None
                assert token.counter < MAX_TIME_MS

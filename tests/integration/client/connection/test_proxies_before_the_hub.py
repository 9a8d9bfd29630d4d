"""A device whose way to the hub leads through a proxy that opens no WebSocket."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.certificates import Authority
from tests.integration.client.conftest import HubProcess, running_hub
from tests.integration.hub.proxies.conftest import HOST, KINDS, RealProxy, running

from muster_client import Device, Hub
from muster_client.errors import HubUnreachable, Trouble

pytestmark = pytest.mark.needs("nginx", "nginx stream module")


async def said_through(proxy: RealProxy, folder: Path) -> HubUnreachable:
    async with running(proxy):
        with (
            Device.create(folder / "laptop", hub_url=f"ws://{HOST}:{proxy.plain}") as device,
            pytest.raises(HubUnreachable) as caught,
        ):
            async with Hub.connect(device):
                pass
    return caught.value


def nginx(folder: Path, hub: HubProcess) -> RealProxy:
    port = int(hub.url.rpartition(":")[2])
    return RealProxy(KINDS["nginx http"], folder / "proxy", Authority(folder / "authority").issue(), port)


async def test_a_proxy_that_hands_on_no_upgrade_is_the_likely_cause(tmp_path: Path, shared_hub: HubProcess) -> None:
    proxy = nginx(tmp_path, shared_hub)
    lines = [line for line in proxy.kind.text.splitlines() if "proxy_set_header" not in line]
    proxy.kind = replace(proxy.kind, text="\n".join(lines))
    said = await said_through(proxy, tmp_path)
    assert said.trouble is Trouble.NOT_A_HUB
    assert "HTTP 404 (There is nothing here; this port speaks WebSocket.)" in str(said)
    assert "hands on no WebSocket" in str(said)


async def test_a_hub_that_does_not_run_is_the_likely_cause(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        proxy = nginx(tmp_path, hub)
    said = await said_through(proxy, tmp_path)
    assert said.trouble is Trouble.HUB_UNREACHABLE
    assert "HTTP 502 (502 Bad Gateway)" in str(said)

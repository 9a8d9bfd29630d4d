"""A server at the hub's address that sends a device elsewhere by an HTTP redirect."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.integration.certificates import Authority
from tests.integration.client.conftest import until

from muster_client import Agent, Device, Hub
from muster_client.connection.tls import read_authority
from muster_client.errors import HubUnreachable, Trouble
from muster_client.events import Disconnected

ELSEWHERE = "127.0.0.2"


@asynccontextmanager
async def redirecting(location: bytes, status: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Answer every request on a port of 127.0.0.1 with a redirect; yield the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % (status, location))
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def counting() -> AsyncIterator[tuple[int, list[str]]]:
    """Listen at another address; yield the port and the list of those who connected."""
    visitors: list[str] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visitors.append(str(writer.get_extra_info("peername")))
        writer.close()

    server = await asyncio.start_server(note, ELSEWHERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], visitors


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("scheme", "target"), [("ws", "ws"), ("wss", "wss"), ("ws", "wss"), ("wss", "ws")])
async def test_a_redirect_leads_no_device_to_another_address(
    tmp_path: Path, scheme: str, target: str, status: int
) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.issue().server_context() if scheme == "wss" else None
    async with counting() as (port, visitors):
        location = f"{target}://{ELSEWHERE}:{port}/"
        async with redirecting(location.encode(), status, tls) as hub_port:
            url = f"{scheme}://127.0.0.1:{hub_port}"
            with Device.create(tmp_path / "laptop", hub_url=url) as device:
                device.trust_authority(read_authority(authority.file))
                with pytest.raises(HubUnreachable) as caught:
                    async with Hub.connect(device):
                        pass
                async with Agent.open(device) as agent:
                    gone = await until(agent.events(), Disconnected)
    assert caught.value.trouble is Trouble.HUB_REDIRECTS
    assert location in str(caught.value)
    assert (gone.cause, gone.sentence) == ("hub_redirects", str(caught.value))
    assert visitors == []


async def test_the_target_of_a_redirect_is_shown_without_what_a_terminal_obeys(tmp_path: Path) -> None:
    async with redirecting(b"ws://" + b"\x9b2J\xc2\x9b2J" * 1000, 302) as port:
        device = Device.create(tmp_path / "laptop", hub_url=f"ws://127.0.0.1:{port}")
        with device, pytest.raises(HubUnreachable) as caught:
            async with Hub.connect(device):
                pass
    assert caught.value.trouble is Trouble.HUB_REDIRECTS
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2_000

"""Probes and frames that no request pays for, by which a stranger keeps the hub busy from one address."""

import asyncio
from http import HTTPStatus

from tests.attacks.stranger.test_places import OTHER, STRANGER
from tests.integration.hub.conftest import StartNode
from tests.integration.hub.device import SigningDevice
from websockets.frames import Frame, Opcode

from muster_hub.listener import ListenerSettings
from muster_hub.listener.settings import FRAME_RATE, IDLE_FRAME, SOCKET
from muster_hub.node.node import Tuning
from muster_hub.rate_limits.token_bucket import Rate
from muster_protocol.closes import CloseCode

PROBES = 5
ONCE = Tuning(limits=ListenerSettings(stranger_work=Rate(per_s=0.001, burst=PROBES * SOCKET)))
"""What one address may cause while a test runs: none of it comes back."""
PINGS = int(FRAME_RATE.burst + FRAME_RATE.debt_limit) // IDLE_FRAME


async def probed(url: str, source: str) -> int:
    """Ask whether the hub is ready; return the status, 0 where it resets the socket."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), local_addr=(source, 0))
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await reader.read()
    except ConnectionError:
        return 0
    writer.close()
    return int(answer.split()[1]) if answer else 0


async def test_sockets_and_requests_are_paid_by_their_address(start_node: StartNode) -> None:
    node = await start_node(tuning=ONCE)
    assert [await probed(node.url, STRANGER) for _ in range(2 * PROBES)] == [HTTPStatus.OK] * PROBES + [0] * PROBES
    assert await probed(node.url, OTHER) == HTTPStatus.OK


async def test_pings_that_keep_the_hub_busy_end_the_connection_of_a_device(start_node: StartNode) -> None:
    node = await start_node()
    async with SigningDevice().connect(node.url) as link:
        link.socket.transport.write(Frame(Opcode.PING, b"").serialize(mask=True) * (PINGS + 1))
        assert await link.closed() == CloseCode.RATE_LIMITED

"""A hub behind nginx and HAProxy: whose limits count, TLS ended there, idle connections, and a reload."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace
from tests.integration.certificates import Authority
from tests.integration.hub.conftest import NodeSettings
from tests.integration.hub.device import RefusedByHubError, SigningDevice
from tests.integration.hub.proxies.conftest import HOST, KINDS, LONG_S, RealProxy, running
from tests.rubbish.peers import Door, upgrade

from muster_hub.listener import ListenerSettings
from muster_hub.node.node import Node, Tuning, open_node
from muster_protocol.reasons import Reason

pytestmark = [
    pytest.mark.needs("nginx", "nginx stream module", "haproxy"),
    pytest.mark.parametrize("kind", KINDS),
]
CLIENT, OTHER = "127.0.0.2", "127.0.0.3"
IDLE_S = 2
FORGED = ("X-Forwarded-For: 192.0.2.9", "x-forwarded-for: 127.0.0.1, unknown", "X-Forwarded-For: 127.0.0.3")
AGREED, BUSY, BAD = 101, 503, 400
MANY = 2

Before = Callable[..., Awaitable[RealProxy]]


@pytest_asyncio.fixture
async def node(hub_settings: NodeSettings) -> AsyncIterator[Node]:
    settings = replace(hub_settings("one"), trusted_proxy=(HOST,), enrolment="open", max_per_address=1)
    async with open_node(settings, Tuning(limits=ListenerSettings(max_unauthenticated_per_address=MANY))) as node:
        yield node


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest_asyncio.fixture
async def before(node: Node, kind: str, authority: Authority, tmp_path: Path) -> AsyncIterator[Before]:
    """Start a proxy before the hub."""
    async with AsyncExitStack() as stack:

        async def start(idle_s: int = LONG_S) -> RealProxy:
            hub = int(node.url.rpartition(":")[2])
            proxy = RealProxy(KINDS[kind], tmp_path / "proxy", authority.issue(), hub, idle_s)
            return await stack.enter_async_context(running(proxy))

        yield start


async def status(stack: AsyncExitStack, proxy: RealProxy, *headers: str, source: str, first: str = "") -> int:
    peer = await stack.enter_async_context(Door(HOST, proxy.plain).peer(source))
    peer.send(first.encode() + upgrade(*headers))
    return int((await peer.head()).split()[1])


async def test_who_is_behind_a_proxy_spends_its_own_allowance_whatever_it_writes(
    before: Before, links: AsyncExitStack
) -> None:
    proxy = await before()
    statuses = [await status(links, proxy, header, source=CLIENT) for header in FORGED]
    assert statuses == [*[AGREED] * MANY, BUSY]
    assert await status(links, proxy, source=OTHER) == AGREED


async def test_a_proxy_header_of_a_client_is_refused(before: Before, links: AsyncExitStack) -> None:
    proxy = await before()
    assert await status(links, proxy, source=CLIENT, first="PROXY TCP4 192.0.2.9 127.0.0.1 1 2\r\n") == BAD


async def test_devices_connect_through_tls_that_the_proxy_ends_and_stay_while_it_reloads(
    before: Before, node: Node, authority: Authority, links: AsyncExitStack
) -> None:
    proxy = await before()
    secured = f"wss://{HOST}:{proxy.tls}"
    tls = authority.context()
    link = await links.enter_async_context(SigningDevice().connect(secured, origin=node.url, tls=tls, source=CLIENT))
    with pytest.raises(RefusedByHubError) as caught:
        await links.enter_async_context(SigningDevice().connect(secured, origin=node.url, tls=tls, source=CLIENT))
    assert caught.value.refused.reason is Reason.OVERLOADED
    await proxy.reload()
    await (await link.socket.ping())
    plain = f"ws://{HOST}:{proxy.plain}"
    await links.enter_async_context(SigningDevice().connect(plain, origin=node.url, source=OTHER))


async def test_a_connection_that_the_proxy_cuts_gives_its_place_back(
    before: Before, node: Node, links: AsyncExitStack
) -> None:
    proxy = await before(IDLE_S)
    plain = f"ws://{HOST}:{proxy.plain}"
    link = await links.enter_async_context(SigningDevice().connect(plain, origin=node.url, source=CLIENT))
    await link.socket.wait_closed()
    await links.enter_async_context(SigningDevice().connect(node.url, source=CLIENT))

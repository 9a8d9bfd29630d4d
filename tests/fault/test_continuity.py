"""The counter that finds copies: no alarm from crowds, crashes and a restored store; always one from a copied disk."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fault.nodes import Cluster, NodeProcess
from tests.integration.client.conftest import until
from tests.integration.hub.device import WAIT_S, DeviceLink, RefusedByHubError, SigningDevice

import muster_client
from muster_client import Agent
from muster_client.events import Connected
from muster_protocol.closes import CloseCode
from muster_protocol.connect import Role
from muster_protocol.frames import ConfirmToken, Ok
from muster_protocol.reasons import Reason

COMMAND_LINES = 10
AGAIN_AFTER_S = 0.05
PASSING = {Reason.OVERLOADED, Reason.STORE_UNAVAILABLE, Reason.EXPIRED}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def node(lasting_nodes: Cluster) -> NodeProcess:
    return await lasting_nodes.node("one")


async def patiently(connect: Callable[[], Awaitable[Reason | None]]) -> Reason | None:
    """Connect, and again while hub or store are away, or a later command line takes the place or the token.

    Return what the hub holds against the device.
    """
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                return await connect()
            except RefusedByHubError as error:
                if error.refused.reason not in PASSING:
                    raise
            except ConnectionError as error:
                if str(CloseCode.SUPERSEDED.value) not in f"{error} {error.__cause__}":
                    raise
            await asyncio.sleep(AGAIN_AFTER_S)


async def ask(device: SigningDevice, node: NodeProcess) -> Reason | None:
    """Be a command line, for as long as it takes to say one thing."""
    async with device.connect(node.url, role=Role.CLI) as link:
        await link.put(device.trust(SigningDevice()))
        return link.welcome.standing


async def keep(link: DeviceLink) -> None:
    """Have the token on disk, and no more."""
    link.device.token = link.welcome.token


async def confirm(link: DeviceLink) -> None:
    assert link.welcome.token is not None
    assert isinstance(await link.ask_any(ConfirmToken(id=0, counter=link.welcome.token.counter)), Ok)


async def crowd(
    device: SigningDevice, node: NodeProcess, *steps: Callable[[DeviceLink], Awaitable[None]]
) -> list[Reason | None]:
    """Run an agent, which takes these steps, and ten command lines at once; return what the hub says of each."""

    async def agent() -> Reason | None:
        async with device.connect(node.url) as link:
            for step in steps:
                await step(link)
            return link.welcome.standing

    lines = [patiently(lambda: ask(device, node)) for _ in range(COMMAND_LINES)]
    return await asyncio.gather(patiently(agent), *lines)


@pytest.mark.parametrize("lost", ["connect", "confirmation", "both"])
async def test_a_store_rolled_back_raises_no_alarm(lasting_nodes: Cluster, node: NodeProcess, lost: str) -> None:
    """The last write of an agent's connect, or the last two, are not on the store's disk after all."""
    store = lasting_nodes.store
    device = SigningDevice()
    assert set(await crowd(device, node, keep, confirm)) == {None}
    sizes = {"both": store.log.stat().st_size}
    async with device.connect(node.url) as link:
        await keep(link)
        sizes["confirmation"] = store.log.stat().st_size
        if lost != "connect":
            await confirm(link)
        else:
            sizes["connect"] = sizes["both"]
    await store.kill()
    with store.log.open("r+b") as log:
        log.truncate(sizes[lost])
    await store.start()
    for _ in range(2):
        assert set(await crowd(device, node, keep, confirm)) == {None}


@pytest.mark.parametrize("steps", [(), (keep,), (keep, confirm)], ids=["at once", "with its token", "after all of it"])
async def test_an_agent_that_dies_raises_no_alarm(
    node: NodeProcess, steps: tuple[Callable[[DeviceLink], Awaitable[None]], ...]
) -> None:
    device = SigningDevice()
    for _ in range(3):
        assert set(await crowd(device, node, *steps)) == {None}
        assert set(await crowd(device, node, keep, confirm)) == {None}


async def standing(path: Path) -> Reason | None:
    """Run an agent on a device's disk until it is in step with the hub; return what the hub holds against it."""
    async with Agent.open(path) as agent:
        events = agent.events()
        connected = await until(events, Connected)
        await agent.connected()
        return connected.standing


@pytest.mark.parametrize("order", [("original", "copy"), ("copy", "original")], ids=lambda order: f"{order[0]} first")
async def test_a_copied_disk_raises_an_alarm(node: NodeProcess, tmp_path: Path, order: tuple[str, str]) -> None:
    """Whichever comes first, by the time that both have come twice; from then on it stands for both."""
    muster_client.Device.create(tmp_path / "original", hub_url=node.url).close()
    assert await standing(tmp_path / "original") is None
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    seen = [await standing(tmp_path / name) for name in (*order, *order)]
    assert seen[0] is None, "the first to come is as good as the other"
    assert seen[-1] is Reason.CLONE_SUSPECTED
    assert seen == sorted(seen, key=lambda one: one is not None), "an alarm does not pass by itself"
    assert await standing(tmp_path / "original") is Reason.CLONE_SUSPECTED

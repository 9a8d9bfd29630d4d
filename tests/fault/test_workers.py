"""Several workers on one port: one hub to its devices, also when one of its processes dies."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from tests.fault.nodes import NodeProcess, NotStartedError
from tests.integration.certificates import Authority, served_serial
from tests.integration.hub.device import WAIT_S, DeviceLink, SigningDevice

from muster_protocol.closes import CloseCode
from muster_protocol.frames import Ok, PresencePush, PresenceReply, PresenceState, Watch

StartHub = Callable[..., Awaitable[NodeProcess]]
NEVER_ON_A_CLEAN_END = ("Traceback", "Task was destroyed", "never retrieved", "never awaited", "unhandled")
POLL_S = 0.02
DIALS = 64
"""Connections among which every worker has some: all at one of two would be a chance of one in 2^63."""
ASK_AGAIN_S = 0.5
"""How long until all are asked again: one worker may have to answer all of them, within what an address may ask."""


@pytest_asyncio.fixture
async def start_hub(tmp_path: Path) -> AsyncIterator[StartHub]:
    """Start a hub of two workers on its own store; once more under the same name is the same hub."""
    async with AsyncExitStack() as opened:

        async def start(*arguments: str) -> NodeProcess:
            hub = NodeProcess(tmp_path / "hub")
            opened.push_async_callback(hub.end)
            await hub.start("--workers", "2", *arguments)
            return hub

        yield start


def workers(hub: NodeProcess) -> set[int]:
    """Return the process ids of the workers that run."""
    children = psutil.Process(hub.process.pid).children()
    return {child.pid for child in children if "muster_hub.process.worker" in child.cmdline()}


async def nodes_behind(hub: NodeProcess) -> set[str]:
    """Ask the port until no worker can have been missed; those that answer that they serve."""
    answers = [await hub.readyz() for _ in range(DIALS)]
    return {str(report["node"]) for status, report in answers if status == 200}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(POLL_S)


async def until_both_serve(hub: NodeProcess) -> None:
    async with asyncio.timeout(WAIT_S):
        while len(await nodes_behind(hub)) < 2:  # noqa: ASYNC110 - the same
            await asyncio.sleep(ASK_AGAIN_S)


async def test_workers_share_a_port_and_are_one_hub(start_hub: StartHub, stack: AsyncExitStack) -> None:
    hub = await start_hub()
    told = json.loads((hub.folder / "hub.json").read_text())
    assert (told["url"], told["pid"]) == (hub.url, hub.process.pid)
    assert len(workers(hub)) == 2
    await until_both_serve(hub)
    asker = SigningDevice()
    link = await stack.enter_async_context(asker.connect(hub.url))
    devices = [SigningDevice() for _ in range(12)]
    async with AsyncExitStack() as leaving:
        for device in devices:
            connection = await leaving.enter_async_context(device.connect(hub.url))
            assert isinstance(await connection.put(device.trust(asker)), Ok)
        shown = await link.ask(Watch(id=0, clients=tuple(device.client for device in devices)), PresenceReply)
        assert {one.state for one in shown.devices} == {PresenceState.ONLINE}
    gone: set[str] = set()
    while len(gone) < len(devices):
        push = await link.next_push(PresencePush)
        gone |= {one.client for one in push.devices if one.state is PresenceState.OFFLINE}


async def kill_under_load(hub: NodeProcess, pid: int, stack: AsyncExitStack) -> DeviceLink:
    """Kill a worker, and return a connection that it held."""
    links = [await stack.enter_async_context(SigningDevice().connect(hub.url)) for _ in range(12)]
    psutil.Process(pid).kill()
    await until(lambda: any(link.ended.is_set() for link in links))
    return next(link for link in links if link.ended.is_set())


async def test_a_worker_that_was_killed_is_started_again(start_hub: StartHub, stack: AsyncExitStack) -> None:
    hub = await start_hub()
    await until_both_serve(hub)
    before = await nodes_behind(hub)
    killed = next(iter(workers(hub)))
    lost = await kill_under_load(hub, killed, stack)
    await until(lambda: len(workers(hub)) == 2 and killed not in workers(hub))
    await until_both_serve(hub)
    assert await nodes_behind(hub) == before  # under its old name, so that its old lease holds nothing up
    async with lost.device.connect(hub.url) as link:
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)
    assert [line["code"] for line in hub.said("worker_died")] == [-signal.SIGKILL]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_one_signal_to_the_parent_ends_all_as_planned(
    start_hub: StartHub, stack: AsyncExitStack, number: signal.Signals
) -> None:
    hub = await start_hub()
    pids = workers(hub)
    links = [await stack.enter_async_context(SigningDevice().connect(hub.url)) for _ in range(8)]
    hub.send_signal(number)
    assert await hub.ended() == 0
    for link in links:
        assert await link.closed() == CloseCode.GOING_AWAY
        assert link.goaway is not None
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not (hub.folder / "hub.json").exists()
    log = (hub.folder / "log").read_text()
    assert not [word for word in NEVER_ON_A_CLEAN_END if word in log], log


async def test_a_second_signal_does_not_wait(start_hub: StartHub) -> None:
    hub = await start_hub("--stop-grace-s", "300")
    pids = workers(hub)
    hub.send_signal(signal.SIGTERM)
    await hub.until_not_ready("stopping")
    hub.send_signal(signal.SIGTERM)
    assert await hub.ended() == 130
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_workers_end_with_a_killed_parent_and_the_next_hub_waits_for_them(
    start_hub: StartHub, stack: AsyncExitStack
) -> None:
    hub = await start_hub()
    device = SigningDevice()
    link = await stack.enter_async_context(device.connect(hub.url))
    assert isinstance(await link.put(device.trust(SigningDevice())), Ok)
    hub.process.kill()
    await hub.ended()
    again = await start_hub("--listen", hub.url.removeprefix("ws://"))
    assert await link.closed() == CloseCode.GOING_AWAY
    assert again.url == hub.url
    assert len(hub.said("supervisor_gone")) == 2
    async with device.connect(again.url) as new:
        assert new.welcome.newest_serial == device.serial


async def test_sighup_renews_the_certificate_in_all_workers(start_hub: StartHub, tmp_path: Path) -> None:
    authority, cert, key = Authority(tmp_path / "authority"), tmp_path / "cert.pem", tmp_path / "key.pem"
    authority.write(cert, key)
    hub = await start_hub("--tls-cert", str(cert), "--tls-key", str(key))
    context = authority.context()
    async with SigningDevice().connect(hub.url, tls=context) as link:
        hub.send_signal(signal.SIGHUP)  # the files are the same, so that nothing else makes a worker load them
        await until(lambda: len(hub.said("certificate_renewed")) == 2)
        second = authority.write(cert, key)
        hub.send_signal(signal.SIGHUP)
        async with asyncio.timeout(WAIT_S):
            while {await served_serial(hub.url, context) for _ in range(DIALS)} != {second}:  # noqa: ASYNC110 - the same
                await asyncio.sleep(POLL_S)
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)


async def test_a_port_that_is_taken_is_refused_by_name(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        hub = NodeProcess(tmp_path / "hub")
        with pytest.raises(NotStartedError, match=f"listen: {address} cannot be used"):
            await hub.start("--workers", "2", "--listen", address)
        assert await hub.ended() == 2
        await hub.end()

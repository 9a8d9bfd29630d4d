"""Many devices come back at once: all get in, and a revocation meanwhile stays quick.

STORM_DEVICES says how many (F18 is 5,000 in 10 s); how quick everything was is printed, and is no pass or fail.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import psutil
from tests.fault.nodes import Cluster, NodeProcess
from tests.integration.hub.device import DeviceLink, RefusedByHubError, SigningDevice

from muster_protocol.closes import CloseCode
from muster_protocol.frames import Ok
from muster_protocol.reasons import Reason

DEVICES = int(os.environ.get("STORM_DEVICES", "250"))
DEVICES_PER_S = 500
STORM_LIMIT_S = 300.0
"""How long the storm may take before the test says that it did not end."""


@asynccontextmanager
async def load(url: str, devices: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process with so many devices, which storm once it is told to."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fault.storm_load", url, str(devices), str(devices / DEVICES_PER_S)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
        process.stdin.close()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined] # or its pipes warn when they are collected


async def storm(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"go\n")
    async with asyncio.timeout(STORM_LIMIT_S):
        found = json.loads(await process.stdout.readline())
    assert isinstance(found, dict)
    return found


async def revoke_until(ended: asyncio.Event, link: DeviceLink) -> list[float]:
    """Trust somebody and take it back, again and again; return how long each taking back took, in ms."""
    took_ms = []
    while not ended.is_set():
        peer = SigningDevice()
        assert isinstance(await link.put(link.device.trust(peer)), Ok)
        began_s = time.monotonic()
        assert isinstance(await link.put(link.device.untrust(peer)), Ok)
        took_ms.append((time.monotonic() - began_s) * 1000)
        await asyncio.sleep(0.05)  # a device may ask 40 things a second for ever, and no more
    return took_ms


def cpu_ms(node: NodeProcess) -> float:
    times = psutil.Process(node.process.pid).cpu_times()
    return 1000 * (times.user + times.system)


async def test_all_get_in_and_a_revocation_meanwhile_is_carried_out(hub_nodes: Cluster, stack: AsyncExitStack) -> None:
    node = await hub_nodes.node("one")
    link = await stack.enter_async_context(SigningDevice().connect(node.url))
    async with load(node.url, DEVICES) as process:
        ended = asyncio.Event()
        before_ms = cpu_ms(node)
        async with asyncio.TaskGroup() as group:
            revoking = group.create_task(revoke_until(ended, link))
            told = await storm(process)
            ended.set()
        per_connect_ms = (cpu_ms(node) - before_ms) / DEVICES
        assert told["outcomes"]["entered"] == DEVICES
        assert "gave_up" not in told["outcomes"]
        _, report = await node.readyz()
        assert report["connections"] == DEVICES + 1
    took_ms = sorted(revoking.result())
    assert took_ms
    print(  # noqa: T201 - a figure, for people
        f"\n{DEVICES} devices in {told['seconds']} s (asked for {DEVICES / DEVICES_PER_S:g} s): {told['outcomes']};"
        f" in after p50 {told['p50_ms']} ms, p99 {told['p99_ms']} ms; hub CPU {per_connect_ms:.2f} ms a device, all"
        f" included; load CPU {told['cpu_s']} s; {len(took_ms)} revocations: p50 {statistics.median(took_ms):.1f} ms,"
        f" slowest {took_ms[-1]:.1f} ms"
    )


async def test_whom_the_hub_has_no_place_for_is_told_when_to_come_back(
    hub_nodes: Cluster, stack: AsyncExitStack
) -> None:
    node = await hub_nodes.node("one", "--max-entering", "1")
    refused: list[RefusedByHubError] = []

    async def come() -> None:
        try:
            await stack.enter_async_context(SigningDevice().connect(node.url))
        except RefusedByHubError as error:
            refused.append(error)

    with hub_nodes.store.frozen():  # so that the device in the one place keeps it
        await asyncio.gather(*(come() for _ in range(24)))
    overloaded = [error.refused for error in refused if error.refused.reason is Reason.OVERLOADED]
    assert overloaded
    assert {one.code for one in overloaded} == {CloseCode.OVERLOADED}
    assert all((one.retry_after_ms or 0) >= 1_000 for one in overloaded)
    await node.until_ready()
    async with SigningDevice().connect(node.url) as link:
        assert isinstance(await link.put(link.device.trust(SigningDevice())), Ok)

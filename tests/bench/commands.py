"""What a person waits for: ``muster session start --wait`` with five devices, each with an agent of its own."""

import asyncio
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path

from tests.bench.figures import Figure, percentile

from muster_client.device.device import Device
from muster_protocol.cards import Mode

TARGETS = 5
COMMANDS = 7
STARTS = 40
REST_S = 1.0
"""Between two starts: one of five devices costs its creator about 50 units, of which the hub gives 40 a second."""
START_S = 60.0
PROGRAM = (sys.executable, "-m", "muster_client.cli")


async def measure_command(url: str) -> list[Figure]:
    """Measure the command from its start to its end, and what a command takes that does nothing."""
    folder = Path(tempfile.mkdtemp(prefix="mbench-"))
    names = [f"device{number}" for number in range(TARGETS)]
    _introduce(folder, url, names)
    try:
        async with AsyncExitStack() as stack:
            for name in (*names, "caller"):
                await stack.enter_async_context(_agent(folder / name))
            nothing = [await _run(folder / "caller", "--version") for _ in range(COMMANDS)]
            whole = [await _rested(folder / "caller", "session", "start", *names, "--wait") for _ in range(STARTS)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure(name=f"`session start --wait`, {TARGETS} devices, p50", unit="ms", values=[percentile(whole, 0.5)]),
        Figure(name=f"`session start --wait`, {TARGETS} devices, p99", unit="ms", values=[percentile(whole, 0.99)]),
        Figure(name="`muster --version`: a command that does nothing", unit="ms", values=nothing),
    ]


def _introduce(folder: Path, url: str, names: list[str]) -> None:
    """Let all trust each other, as a mesh needs it, and grant each other everything."""
    with ExitStack() as stack:
        devices = {name: stack.enter_context(Device.create(folder / name, hub_url=url)) for name in (*names, "caller")}
        for one, other in itertools.permutations(devices, 2):
            peer = devices[other]
            devices[one].peers.trust(peer.client, peer.fingerprint, other)
            devices[one].peers.grant(peer.client, mode=Mode.SYNCHRONIZE)


@asynccontextmanager
async def _agent(folder: Path) -> AsyncIterator[None]:
    started = await _start(folder, "agent", "--json")
    assert started.stdout is not None
    async with asyncio.TaskGroup() as tasks:
        try:
            async with asyncio.timeout(START_S):
                while b'"connected"' not in await started.stdout.readline():
                    pass
            # An agent whose pipe is full waits until somebody reads what it says.
            tasks.create_task(started.stdout.read())
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                started.terminate()
            await started.wait()


async def _run(folder: Path, *arguments: str) -> float:
    began = time.perf_counter()
    started = await _start(folder, *arguments)
    async with asyncio.timeout(START_S):
        said, _ = await started.communicate()
    if started.returncode != 0:
        raise RuntimeError(f"muster {arguments[0]} ended with {started.returncode}: {said.decode()}")
    return (time.perf_counter() - began) * 1000


async def _rested(folder: Path, *arguments: str) -> float:
    await asyncio.sleep(REST_S)
    return await _run(folder, *arguments)


async def _start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *PROGRAM,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "MUSTER_DATA_DIR": str(folder)},
    )

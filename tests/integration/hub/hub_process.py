"""A hub as a process of its own, for tests that end it, freeze it, or read what it says."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.integration.hub.device import WAIT_S

HUB = (sys.executable, "-m", "muster_hub")


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        *HUB, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        await _end(started)
        started._transport.close()  # type: ignore[attr-defined] # or its pipes warn when they are collected


async def _end(started: asyncio.subprocess.Process) -> None:
    """End a hub as its user would, so that its own store ends with it; without mercy only if that takes too long."""
    if started.returncode is None:
        started.terminate()
        try:
            await ended(started)
        except TimeoutError:
            started.kill()
    await started.wait()


async def ready(started: asyncio.subprocess.Process) -> dict[str, object]:
    assert started.stdout is not None
    async with asyncio.timeout(WAIT_S):
        line = await started.stdout.readline()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


async def ended(started: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(WAIT_S):
        return await started.wait()

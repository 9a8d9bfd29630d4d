"""Waiting for conditions that no event reports."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.integration.hub.device import WAIT_S

POLL_S = 0.02


async def until(holds: Callable[[], Awaitable[object]], *, limit_s: float = WAIT_S) -> None:
    """Look until something holds; TimeoutError when it does not."""
    async with asyncio.timeout(limit_s):
        while True:
            if await holds():
                return
            await asyncio.sleep(POLL_S)


async def until_so(holds: Callable[[], object], *, limit_s: float = WAIT_S) -> None:
    """Do the same for what is seen at once."""

    async def look() -> object:
        return holds()

    await until(look, limit_s=limit_s)

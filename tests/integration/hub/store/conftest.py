"""A store of the test's own, for tests that freeze, kill or set it otherwise."""

import asyncio
import inspect
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from muster_hub.store.adapter import Reply
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire, Word

Ask = Callable[..., Awaitable[Reply]]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest_asyncio.fixture
async def own_store() -> AsyncIterator[EmbeddedStore]:
    with tempfile.TemporaryDirectory(prefix="muster-") as data:
        async with EmbeddedStore(Path(data)) as embedded:
            yield embedded


async def _ask(url: str, *words: Word) -> Reply:
    wire = Wire(parse(url))
    try:
        await wire.connect()
        return await wire.ask(*words)
    finally:
        await wire.close()


@pytest_asyncio.fixture
async def ask() -> Ask:
    """Ask a store one command over a connection of its own."""
    return _ask


EVENTUALLY_S = 30.0  # far beyond what anything here takes


async def _eventually(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(EVENTUALLY_S):
        while True:
            held = holds()
            if await held if inspect.isawaitable(held) else held:
                return
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def eventually() -> Eventually:
    """Wait until something holds of a process that sends no word when it does."""
    return _eventually

"""What all integration tests share: one real store, empty at the start of each test."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from muster_hub.store.adapter import Store
from muster_hub.store.embedded import EmbeddedStore
from muster_hub.store.urls import parse
from muster_hub.store.wire import Wire


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def embedded_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStore]:
    async with EmbeddedStore(tmp_path_factory.mktemp("data")) as embedded:
        yield embedded


@pytest_asyncio.fixture
async def store_url(embedded_store: EmbeddedStore) -> str:
    """The URL of a store with no keys in it."""
    wire = Wire(parse(embedded_store.url))
    await wire.connect()
    await wire.ask(b"FLUSHALL")
    await wire.close()
    return embedded_store.url


@pytest_asyncio.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with Store.open(store_url) as opened:
        yield opened

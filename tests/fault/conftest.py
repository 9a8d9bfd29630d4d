"""What the tests of faults share: a store's server that may be hurt, and nodes on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio
from tests.fault.nodes import Cluster, cluster
from tests.fault.server import StoreServer, server


@pytest_asyncio.fixture
async def store_server() -> AsyncIterator[StoreServer]:
    async with server() as one:
        yield one


@pytest_asyncio.fixture
async def hub_nodes(tmp_path: Path, store_server: StoreServer) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path, store_server) as nodes:
        yield nodes


@pytest_asyncio.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Connections that end with the test."""
    async with AsyncExitStack() as opened:
        yield opened

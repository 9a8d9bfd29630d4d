"""What the tests of faults share: a store's server that may be hurt, and nodes on it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_nodes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Nodes for all tests of a module, which run in its loop: what one test does to the store is over with the test."""
    async with server() as one, cluster(tmp_path_factory.mktemp("nodes"), one) as nodes:
        yield nodes


@pytest_asyncio.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Connections that end with the test."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def lasting_stack() -> AsyncIterator[AsyncExitStack]:
    """Connections that end with the test, in the loop of the module."""
    async with AsyncExitStack() as opened:
        yield opened

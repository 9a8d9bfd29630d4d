"""Two desks over one real store, and devices seated at them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.integration.hub.conftest import eventually, hub_settings, start_node
from tests.integration.hub_sessions.desk import Desk, WatchedStore
from tests.integration.hub_sessions.stage import Actor, actor, befriend

__all__ = ["eventually", "hub_settings", "start_node"]


@pytest_asyncio.fixture
async def desks(store_url: str) -> AsyncIterator[dict[str, Desk]]:
    """Two nodes, ``one`` and ``two``."""
    found: dict[str, Desk] = {"one": None, "two": None}  # type: ignore[dict-item] # each needs to know of both
    async with WatchedStore.open(store_url) as one, WatchedStore.open(store_url) as two, asyncio.TaskGroup() as group:
        assert isinstance(one, WatchedStore)
        assert isinstance(two, WatchedStore)
        for name, store in (("one", one), ("two", two)):
            found[name] = Desk(store, group, name, found)
        yield found


@pytest.fixture
def desk(desks: dict[str, Desk]) -> Desk:
    """The first node."""
    return desks["one"]


@pytest_asyncio.fixture
async def pair(desk: Desk) -> tuple[Actor, Actor]:
    """Two devices at one node that trust each other and grant each other everything."""
    ann, bob = await actor(desk, "ann"), await actor(desk, "bob")
    await befriend(ann, bob)
    return ann, bob

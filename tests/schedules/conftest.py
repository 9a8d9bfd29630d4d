"""One store for all schedules: a real one, on a socket of its own, that does not wait for a disk."""

import gc
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog
from tests.schedules.direct import Direct

from muster_hub.sessions import commit
from muster_hub.store import keys
from muster_hub.store.embedded import EmbeddedStore

OBJECTS_BETWEEN = 50_000
"""How many more objects there are before cycles of them are looked for again."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def store_of_schedules(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedStore]:
    async with EmbeddedStore(tmp_path_factory.mktemp("schedules")) as embedded:
        yield embedded


@pytest.fixture(scope="package", autouse=True)
def day_to_join() -> Iterator[None]:
    """Give a new member a day for its ``joined``: none comes in a schedule, and its clock is set forward by minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "JOIN_DEADLINE_MS", keys.DAY_MS)
        yield


@pytest.fixture(scope="package", autouse=True)
def rare_collections() -> Iterator[None]:
    """Look for cycles of objects that nothing refers to more rarely: a schedule makes few, and the search took long."""
    before = gc.get_threshold()
    gc.set_threshold(OBJECTS_BETWEEN, *before[1:])
    yield
    gc.set_threshold(*before)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep the nodes of ten thousand schedules from logging what becomes of them."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


@pytest.fixture
def direct(quiet: None, store_of_schedules: EmbeddedStore) -> Iterator[Direct]:
    """A way to that store. What it writes outlives nothing here, so it writes no file."""
    direct = Direct(store_of_schedules.url)
    direct.ask(b"CONFIG", b"SET", b"appendonly", b"no")
    direct.ask(b"FLUSHALL")
    yield direct
    direct.close()

"""A store that is away for long, and a bus that carries nothing for long: no device counts as gone, nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.fault.absences import dead, frozen
from tests.fault.lost_notifications import lose_notifications
from tests.fault.nodes import Cluster, cluster
from tests.fault.outage import outage
from tests.fault.server import server

pytestmark = pytest.mark.asyncio(loop_scope="module")

Scenario = Callable[[Cluster, AsyncExitStack], Awaitable[None]]
Scenarios = dict[str, asyncio.Task[None]]

SCENARIOS: dict[str, Scenario] = {
    "frozen": lambda hub_nodes, stack: outage(hub_nodes, stack, frozen),
    "dead": lambda hub_nodes, stack: outage(hub_nodes, stack, dead),
    "lost notifications": lose_notifications,
}


async def on_a_hub(folder: Path, scenario: Scenario) -> None:
    async with server() as store, cluster(folder, store) as hub_nodes, AsyncExitStack() as stack:
        await scenario(hub_nodes, stack)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scenarios]:
    """Play them side by side, each on a hub of its own: they wait most of their time."""
    playing = {
        name: asyncio.create_task(on_a_hub(tmp_path_factory.mktemp("hub"), scenario))
        for name, scenario in SCENARIOS.items()
    }
    yield playing
    for task in playing.values():
        task.cancel()
    await asyncio.gather(*playing.values(), return_exceptions=True)


@pytest.mark.parametrize("away", ["frozen", "dead"])
async def test_a_store_outage_makes_no_device_offline(scenarios: Scenarios, away: str) -> None:
    await scenarios[away]


async def test_lost_notifications_are_made_good_by_a_resync(scenarios: Scenarios) -> None:
    await scenarios["lost notifications"]
